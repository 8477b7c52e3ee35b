"""Least squares through the latest ticks, and where a tempo changed among them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from .timeline import Line

_SHORTEST = 3  # ticks on either side of a change
_TEMPO_CHANGED = 25.0  # chi squared, two degrees of freedom
_BAND = 1.15


@dataclass(slots=True)
class _Sums:
    """Sums over points (x, y) that give the best line through them and what it leaves."""

    count: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0

    def add(self, x: float, y: float) -> None:
        self.count += 1
        self.x += x
        self.y += y
        self.xx += x * x
        self.xy += x * y
        self.yy += y * y

    def without(self, other: _Sums) -> _Sums:
        return _Sums(
            self.count - other.count,
            self.x - other.x,
            self.y - other.y,
            self.xx - other.xx,
            self.xy - other.xy,
            self.yy - other.yy,
        )

    def copy(self) -> _Sums:
        return self.without(_Sums())

    @property
    def spread(self) -> float:
        return self.xx - self.x * self.x / self.count

    @property
    def rest(self) -> float:
        """Squared distance that the best line leaves."""
        if self.count < 3:
            return 0.0
        cross = self.xy - self.x * self.y / self.count
        return max(self.yy - self.y * self.y / self.count - cross * cross / self.spread, 0.0)

    def slope(self, prior: float, weight: float) -> float:
        """The best slope, with a prior one that counts as much as a spread of `weight`."""
        if self.count < 2:
            return prior
        cross = self.xy - self.x * self.y / self.count
        return (cross + weight * prior) / (self.spread + weight)


class TickWindow:
    """The last ticks, as (number, nanoseconds)."""

    def __init__(self, size: int) -> None:
        self._ticks: deque[tuple[int, int]] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._ticks)

    def add(self, number: int, t_ns: int) -> None:
        self._ticks.append((number, t_ns))

    def clear(self) -> None:
        self._ticks.clear()

    def keep(self, count: int) -> None:
        """Forget all but the last `count`."""
        while len(self._ticks) > count:
            self._ticks.popleft()

    def line(self, near: Line, prior: float, weight: float) -> Line:
        """The best line, given one that is near (which keeps the sums small), a prior for
        ns per tick and its weight."""
        sums = self._sums(near)
        bend = sums.slope(prior - near.ns_per_beat, weight)
        number = self._ticks[-1][0]
        at = number - near.beat
        t_ns = near.ns_at(number) + sums.y / sums.count + bend * (at - sums.x / sums.count)
        return Line(round(t_ns), float(number), near.ns_per_beat + bend)

    def latest_tempo(self, near: Line, noise_ns: float, range_ns: float) -> int:
        """How many of the last ticks one tempo explains. All, as long as they lie within the range
        of the noise about one line, or two lines do not leave much less than one."""
        total = self._sums(near)
        if total.count < 2 * _SHORTEST or self._band_ns(near, total) <= _BAND * range_ns:
            return total.count
        old = _Sums()
        best, kept = total.rest - _TEMPO_CHANGED * noise_ns * noise_ns, total.count
        for passed, (number, t_ns) in enumerate(self._ticks, start=1):
            old.add(number - near.beat, t_ns - near.ns_at(number))
            if passed < _SHORTEST or total.count - passed < _SHORTEST:
                continue
            new = total.without(old)
            rest = old.rest + new.rest
            if rest < best:
                best, kept = rest, new.count
        return kept

    def _band_ns(self, near: Line, sums: _Sums) -> float:
        """How far apart the ticks lie across the best line."""
        slope = sums.slope(0.0, 0.0)
        off = [t - near.ns_at(n) - slope * (n - near.beat) for n, t in self._ticks]
        return max(off) - min(off)

    def _sums(self, near: Line) -> _Sums:
        sums = _Sums()
        for number, t_ns in self._ticks:
            sums.add(number - near.beat, t_ns - near.ns_at(number))
        return sums


def misfit_ns2(points: Iterable[tuple[int, float]]) -> float:
    """The squared distance that the best line through (number, ns) leaves."""
    sums = _Sums()
    for number, t_ns in points:
        sums.add(number, t_ns)
    return sums.rest
