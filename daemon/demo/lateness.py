"""How punctual the notes were: each note-on on the port against the place it was meant for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, beats_to_steps

from .stage import Outcome

_HEAD = ("request", "bars", "notes", "late", "dropped", "p50", "p99", "worst", "first note")


@dataclass(frozen=True, slots=True)
class Lateness:
    """The figures of a completion. `errors_ms` are those of the notes that sounded, ascending by
    size; first_note_ms is how long the model took for its first note, None: nobody measured."""

    request: int
    bars: int
    notes: int
    late: int
    dropped: int
    errors_ms: tuple[float, ...]
    first_note_ms: float | None

    def percentile_ms(self, percent: float) -> float | None:
        """The size of error that so many percent of the notes keep within."""
        if not self.errors_ms:
            return None
        return self.errors_ms[max(ceil(len(self.errors_ms) * percent / 100) - 1, 0)]


def lateness(outcome: Outcome) -> list[Lateness]:
    """A row for each completion that has ended."""
    onsets_ns: dict[tuple[int, int], list[int]] = {}
    for t_ns, message in outcome.sent:
        if message[0] & 0xF0 == 0x90 and message[2]:
            onsets_ns.setdefault((message[1], message[2]), []).append(t_ns)
    errors_ms: dict[int, list[float]] = {}
    for address, args in outcome.events:
        if address != "/rwkv/note/played":
            continue
        request, beat, pitch, velocity, _ = args
        place_ns = outcome.place_ns(beats_to_steps(beat) / STEPS_PER_BEAT)
        candidates = onsets_ns[pitch, velocity]
        nearest = min(candidates, key=lambda t_ns: abs(t_ns - place_ns))
        candidates.remove(nearest)
        errors_ms.setdefault(request, []).append(abs(nearest - place_ns) / NS_PER_MS)
    first_ms = None if outcome.first_note_ns is None else outcome.first_note_ns / NS_PER_MS
    rows = []
    for address, args in outcome.events:
        if address == "/rwkv/done":
            request, bars, notes, late, dropped, _ = args
            errors = tuple(sorted(errors_ms.get(request, ())))
            rows.append(Lateness(request, bars, notes, late, dropped, errors, first_ms))
    return rows


def table(rows: Iterable[Lateness]) -> str:
    """The figures in columns, times in milliseconds."""
    lines: list[Sequence[str]] = [_HEAD]
    for row in rows:
        times = (*(row.percentile_ms(p) for p in (50, 99, 100)), row.first_note_ms)
        counts = (row.request, row.bars, row.notes, row.late, row.dropped)
        lines.append([*map(str, counts), *("-" if t is None else f"{t:.2f} ms" for t in times)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
