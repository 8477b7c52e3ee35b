"""Where ticks that are doubted would be on the line that held before them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .timeline import Line


@dataclass(frozen=True, slots=True)
class Placement:
    """What the old line says of some ticks.

    `shift` is by how much the last one's number on the line differs from its number by count: 0
    when all that came was late, positive when ticks were dropped, negative when some came twice.
    `agrees` says whether the last few are near the line and agree on that, `late_ns` by how much
    they are late of it on average. `times` are those that are near the line, by their number there,
    `last` is the highest number.
    """

    shift: int
    agrees: bool
    late_ns: float
    times: dict[int, int]
    last: int


def place(line: Line, first: int, times: Sequence[int], near_ns: float, few: int) -> Placement:
    """Put each tick where the line has a place for it, the first being number `first` by count."""
    numbers = [round(line.beat_at(t_ns)) for t_ns in times]
    late = [t_ns - line.ns_at(number) for number, t_ns in zip(numbers, times, strict=True)]
    shifts = [number - first - k for k, number in enumerate(numbers)]
    shift = shifts[-1]
    near: dict[int, int] = {}
    for k, number in enumerate(numbers):
        # When all are only late, one that is at another's place is not believed to be that other.
        fits = abs(late[k]) <= near_ns and number >= first and (shifts[k] == 0 or shift != 0)
        if fits and (number not in near or abs(late[k]) < abs(late[near[number]])):
            near[number] = k
    latest = late[-few:]
    return Placement(
        shift=shift,
        agrees=max(map(abs, latest)) <= near_ns and set(shifts[-few:]) == {shift},
        late_ns=sum(latest) / len(latest),
        times={number: times[k] for number, k in near.items()},
        last=max(numbers),
    )
