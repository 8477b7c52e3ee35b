"""Piano rolls as PNG: voices in colours, velocity as opacity. Needs the extra `plot`."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import Any

from .errors import RwkvMusicError
from .midi_files import write_atomically
from .music import STEPS_PER_BEAT, Bar, Phrase

MOST_BARS = 512
_LONGEST_NAME = 44
_ROW_STEPS = 8 * 4 * STEPS_PER_BEAT  # about eight bars of 4/4 on a row
_ROW_INCHES = 3.1
_WIDTH_INCHES = 15.0
_DPI = 130
_COLOURS = ("#2b6cb0", "#e2603b", "#2f9e6e", "#8b5fbf")
_INK, _MUTED, _BACKGROUND = "#22303c", "#8894a0", "#fcfcfb"
_BLACK_KEYS = frozenset((1, 3, 6, 8, 10))


def draw_piano_roll(
    voices: Mapping[str, Phrase],
    path: str | os.PathLike[str],
    title: str = "",
    first_number: int = 1,
) -> None:
    """Draw voices that start at the same bar line, the earlier ones below the later.

    The bars of all voices agree in meter; a voice may be shorter. Bars are numbered from
    `first_number`; those in which only the last of several voices plays are tinted in its colour.
    Raises RwkvMusicError without matplotlib, and
    for more than MOST_BARS bars.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise RwkvMusicError(
            "drawing a piano roll needs matplotlib: pip install 'rwkv-music[plot]'"
        ) from None
    bars = max(voices.values(), key=len, default=())
    if not 0 < len(bars) <= MOST_BARS:
        raise RwkvMusicError(f"piano roll: got {len(bars)} bars, expected 1 to {MOST_BARS}")
    rows = _rows(bars)
    head = 0.5  # inches above the first row, for title and legend
    height = head + _ROW_INCHES * len(rows) + 0.15
    figure = Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    low, high = _pitch_span(voices)
    longest = max(sum(bar.meter.steps for bar in bars[first:last]) for first, last in rows)
    for number, (first, last) in enumerate(rows):
        bottom = 1 - (head + _ROW_INCHES * (number + 1) - 0.1) / height
        axes = figure.add_axes((0.038, bottom, 0.95, (_ROW_INCHES - 0.45) / height))
        _draw_grid(axes, bars, (first, last), (low, high), first_number)
        _draw_notes(axes, voices, bars, first, last)
        axes.set_xlim(0, longest)
    _draw_head(figure, voices, title, height)
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor=_BACKGROUND)
    write_atomically(path, data.getvalue())


def _rows(bars: Phrase) -> list[tuple[int, int]]:
    """First bar and the bar after the last of each row, the rows filled evenly."""
    total = sum(bar.meter.steps for bar in bars)
    aim = total / max(-(-total // _ROW_STEPS), 1)
    rows: list[tuple[int, int]] = []
    first = steps = 0
    for number, bar in enumerate(bars):
        if steps and steps + bar.meter.steps > aim + 0.5 * bar.meter.steps:
            rows.append((first, number))
            first, steps = number, 0
        steps += bar.meter.steps
    return [*rows, (first, len(bars))]


def _pitch_span(voices: Mapping[str, Phrase]) -> tuple[int, int]:
    pitches = [note.pitch for bars in voices.values() for bar in bars for note in bar.notes]
    low, high = min(pitches, default=60) - 2, max(pitches, default=60) + 3
    spare = max(24 - (high - low), 0)  # two octaves at least, so that notes stay flat
    return low - spare // 2, high + spare - spare // 2


def _draw_grid(
    axes: Any, bars: Phrase, row: tuple[int, int], span: tuple[int, int], first_number: int
) -> None:
    (first, last), (low, high) = row, span
    width = sum(bar.meter.steps for bar in bars[first:last])
    for pitch in range(low, high):
        if pitch % 12 in _BLACK_KEYS:
            axes.add_patch(_rectangle(0, pitch - 0.5, width, 1, facecolor="#f0f1f1", zorder=0))
    names = [pitch for pitch in range(low, high) if pitch % 12 == 0]
    axes.hlines([p - 0.5 for p in names], 0, width, color="#c9ced3", linewidth=0.8, zorder=1)
    axes.set_yticks(names, [f"C{pitch // 12 - 1}" for pitch in names])
    start, meter = 0, bars[first - 1].meter if first else None
    lines, beats = [0], []
    for number, bar in enumerate(bars[first:last], first):
        text = str(number + first_number)
        axes.text(start + 0.8, high + 0.3, text, fontsize=8.5, color=_MUTED, va="bottom")
        if bar.meter != meter:
            place = start + 4.5 + 2.4 * len(text)
            axes.text(place, high + 0.3, str(bar.meter), fontsize=8.5, color=_INK, va="bottom")
        meter = bar.meter
        beat = _pulse_steps(bar)
        beats += [start + step for step in range(beat, bar.meter.steps, beat)]
        start += bar.meter.steps
        lines.append(start)
    axes.vlines(beats, low - 0.5, high - 0.5, color="#e1e4e6", linewidth=0.8, zorder=1)
    axes.vlines(lines, low - 0.5, high - 0.5, color="#9aa4ad", linewidth=1.1, zorder=2)
    axes.set_ylim(low - 0.5, high - 0.5)
    axes.set_xticks([])
    axes.patch.set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=_MUTED, pad=4)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_notes(
    axes: Any, voices: Mapping[str, Phrase], bars: Phrase, first: int, last: int
) -> None:
    starts = [0]
    for bar in bars:
        starts.append(starts[-1] + bar.meter.steps)
    offset, end = starts[first], starts[last]
    bottom, top = axes.get_ylim()
    for index, phrase in enumerate(voices.values()):
        colour = _COLOURS[index % len(_COLOURS)]
        for number, bar in enumerate(phrase[:last]):
            alone = index == len(voices) - 1 > 0 and _plays_alone(voices, number)
            if alone and number >= first:
                left, steps = starts[number] - offset, bar.meter.steps
                axes.add_patch(
                    _rectangle(left, bottom, steps, top - bottom, color=colour, alpha=0.06, lw=0)
                )
            for note in bar.notes:
                onset = starts[number] + note.onset
                stop = min(onset + note.duration, end)
                if stop <= offset:
                    continue
                left = max(onset, offset)
                opacity = 0.12 + 0.88 * (note.velocity / 127) ** 1.2
                axes.add_patch(
                    _rounded(left - offset, note.pitch, stop - left, colour, opacity, 3 + index)
                )


def _plays_alone(voices: Mapping[str, Phrase], number: int) -> bool:
    *others, last = voices.values()
    return bool(last[number].notes) and not any(
        phrase[number].notes for phrase in others if number < len(phrase)
    )


def _pulse_steps(bar: Bar) -> int:
    """The beat as it is felt: a dotted quarter in 6/8, 9/8 and 12/8."""
    meter = bar.meter
    if meter.denominator == 8:
        return STEPS_PER_BEAT * 3 // 2 if meter.numerator % 3 == 0 else STEPS_PER_BEAT // 2
    return STEPS_PER_BEAT


def _rectangle(left: float, bottom: float, width: float, height: float, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left, bottom), width, height, **{"linewidth": 0, **style})


def _rounded(
    left: float, pitch: int, width: float, colour: str, opacity: float, zorder: int
) -> Any:
    from matplotlib.patches import FancyBboxPatch

    gap = min(0.35, width / 6)  # so that repeated notes stay apart
    return FancyBboxPatch(
        (left + gap / 2, pitch - 0.4),
        width - gap,
        0.8,
        boxstyle=f"round,pad=0,rounding_size={min(0.9, (width - gap) / 2)}",
        mutation_aspect=0.4,
        facecolor=(colour, opacity),
        edgecolor=(colour, min(opacity + 0.25, 1)),
        linewidth=0.6,
        zorder=zorder,
    )


def _short(name: str) -> str:
    """Names of files can be long; title and legend share a line."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _draw_head(figure: Any, voices: Mapping[str, Phrase], title: str, height: float) -> None:
    from matplotlib.patches import Patch

    top = 1 - 0.3 / height
    figure.text(0.038, top, _short(title), fontsize=14, color=_INK, weight="bold", va="center")
    handles = [
        Patch(facecolor=_COLOURS[index % len(_COLOURS)], label=_short(name))
        for index, name in enumerate(voices)
    ]
    figure.legend(
        handles=handles,
        loc="center right",
        bbox_to_anchor=(0.99, top),
        ncols=len(handles),
        frameon=False,
        fontsize=10.5,
        labelcolor=_INK,
        handlelength=1.1,
        handleheight=0.9,
        borderaxespad=0,
    )
