"""Raw notes of a file onto the grid of its bars, in exact integers (units as in bar_lines)."""

from __future__ import annotations

from collections.abc import Iterable

from .bar_lines import BarLine
from .errors import MidiFileError
from .music import LONGEST_STEPS, METERS, STEPS_PER_BEAT, Bar, Note
from .tempo import TempoTracker

DEFAULT_BPM = 120.0  # what a file without a tempo means
_SLOWEST_BPM, _FASTEST_BPM = 3.0, 10_000.0  # a tempo of 0 or infinity is a broken file

Struck = tuple[int, int, int, int]  # onset in ticks, duration in ticks, pitch, velocity


class Tempos:
    """The tempo at each bar line, asked in order, from events of tick and quarters a minute. An
    event less than half a step after a line belongs to the line, as an onset would."""

    def __init__(self, events: Iterable[tuple[int, float]], tpq: int) -> None:
        self._events = sorted(events, key=lambda event: event[0])
        self._tpq = tpq
        self._next = 0
        self._bpm = DEFAULT_BPM
        self._tracker = TempoTracker()

    def at(self, line_unit: int) -> float:
        """Settled quarters a minute. Raises MidiFileError for a tempo that is none."""
        while self._next < len(self._events):
            tick, bpm = self._events[self._next]
            if 2 * (tick * STEPS_PER_BEAT - line_unit) >= self._tpq:
                break
            if not _SLOWEST_BPM <= bpm <= _FASTEST_BPM:
                raise MidiFileError(
                    f"tick {tick}: a tempo of {bpm:g} quarters a minute; expected one from"
                    f" {_SLOWEST_BPM:g} to {_FASTEST_BPM:g}"
                )
            self._bpm = bpm
            self._next += 1
        return self._tracker.settle(self._bpm)


def bars_on_grid(
    lines: list[BarLine], struck: list[Struck], tempos: Tempos, tpq: int, skip_odd_meters: bool
) -> tuple[list[Bar], int]:
    """Bars with their notes in order, and how many notes were in bars that were skipped.

    `struck` is sorted. Raises MidiFileError at the first bar whose meter has no token, unless
    those are skipped.
    """
    notes: list[list[Note]] = [[] for _ in lines]
    index = 0
    for tick, duration, pitch, velocity in struck:
        unit = tick * STEPS_PER_BEAT
        while index + 1 < len(lines) and lines[index + 1].unit <= unit:
            index += 1
        line = lines[index]
        home, onset = index, max((2 * (unit - line.unit) + tpq) // (2 * tpq), 0)
        if 2 * (line.end_unit - unit) <= tpq:
            home, onset = index + 1, 0
        elif line.meter is not None:
            # A signature that is a little off its line makes a bar a little too long or too short.
            onset = min(onset, line.meter.steps - 1)
        steps = (2 * duration * STEPS_PER_BEAT + tpq) // (2 * tpq)
        notes[home].append(Note(onset, pitch, velocity, min(max(steps, 1), LONGEST_STEPS)))
    bars: list[Bar] = []
    skipped = 0
    for line, held in zip(lines, notes, strict=True):
        if line.meter is not None:
            bars.append(Bar(line.meter, tempos.at(line.unit), tuple(sorted(held))))
        elif skip_odd_meters:
            skipped += len(held)
        else:
            raise MidiFileError(
                f"bar {len(bars) + 1} is in {line.written}, which has no token; expected one of "
                + ", ".join(str(meter) for meter in METERS)
            )
    return bars, skipped
