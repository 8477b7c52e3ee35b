"""Least squares through the latest ticks, and where a tempo changed among them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from .timeline import Line

_SHORTEST = 3  # ticks on either side of a change
_CHANGED = 25.0  # chi squared, two degrees of freedom
_BENT = 9.0  # the same, for the one by which another tempo is more than a pause
_EXPLAINED = 1.5  # what two lines may leave, in noises squared a tick
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
    def cross(self) -> float:
        return self.xy - self.x * self.y / self.count

    @property
    def height(self) -> float:
        return self.yy - self.y * self.y / self.count

    @property
    def rest(self) -> float:
        """Squared distance that the best line leaves."""
        if self.count < 3:
            return 0.0
        return max(self.height - self.cross * self.cross / self.spread, 0.0)

    def slope(self, prior: float, weight: float) -> float:
        """The best slope, with a prior one that counts as much as a spread of `weight`."""
        if self.count < 2:
            return prior
        return (self.cross + weight * prior) / (self.spread + weight)


def parallel(one: _Sums, other: _Sums) -> tuple[float, float]:
    """Squared distance that the best two lines of one slope leave, and that slope."""
    cross, spread = one.cross + other.cross, one.spread + other.spread
    return max(one.height + other.height - cross * cross / spread, 0.0), cross / spread


@dataclass(frozen=True, slots=True)
class Change:
    """Two lines through the ticks: what they leave, how many ticks the new one has, the slope
    (ns per tick) if they are parallel, and whether they are: then the clock paused between them."""

    rest_ns2: float
    count: int
    ns_per_tick: float
    same_tempo: bool


class TickWindow:
    """The last ticks, as (number, nanoseconds). Those from before a change of tempo are kept beside
    them until there are enough new ones: where the change was shows better from later on."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ticks: deque[tuple[int, int]] = deque(maxlen=size)
        self._before: list[tuple[int, int]] = []

    @property
    def ticks(self) -> list[tuple[int, int]]:
        """The last ones, but none from before a change."""
        return list(self._ticks)

    def __len__(self) -> int:
        return len(self._ticks)

    def add(self, number: int, t_ns: int) -> None:
        self._ticks.append((number, t_ns))
        if len(self._ticks) == self._size:
            self._before.clear()

    def drop_latest(self, count: int) -> None:
        """Forget the last `count`, if there are so many."""
        for _ in range(min(count, len(self._ticks))):
            self._ticks.pop()

    def clear(self) -> None:
        self._ticks.clear()
        self._before.clear()

    def keep(self, count: int) -> None:
        """Forget all but the last `count`."""
        self._before.clear()
        while len(self._ticks) > count:
            self._ticks.popleft()

    def divide(self, count: int) -> None:
        """Let the last `count` be those after a change."""
        ticks = [*self._before, *self._ticks]
        self._before, new = ticks[:-count], ticks[-count:]
        self._ticks.clear()
        self._ticks.extend(new)
        if len(self._ticks) == self._size:
            self._before.clear()

    def line(self, near: Line, prior: float, weight: float) -> Line:
        """The best line, given one that is near (which keeps the sums small), a prior for
        ns per tick and its weight."""
        sums = self._sums(near)
        bend = sums.slope(prior - near.ns_per_beat, weight)
        number = self._ticks[-1][0]
        at = number - near.beat
        t_ns = near.ns_at(number) + sums.y / sums.count + bend * (at - sums.x / sums.count)
        return Line(round(t_ns), float(number), near.ns_per_beat + bend)

    def change(self, near: Line, noise_ns: float, range_ns: float) -> Change | None:
        """What happened among these ticks, if one line does not explain them: as long as they lie
        within the range of the noise about it, or two lines do not leave much less, it does."""
        return _change(self._ticks, near, noise_ns, range_ns)

    def change_before(self, near: Line, noise_ns: float, range_ns: float) -> Change | None:
        """The same of the change that these ticks began with, as it looks by now; None where two
        lines do not explain them, as when a tempo flows."""
        if not self._before:
            return None
        ticks = [*self._before, *self._ticks]
        change = _change(ticks, near, noise_ns, range_ns)
        if change is None or change.rest_ns2 > _EXPLAINED * noise_ns * noise_ns * len(ticks):
            return None
        return change

    def _sums(self, near: Line) -> _Sums:
        return _sums_of(self._ticks, near)


def _change(
    ticks: Collection[tuple[int, int]], near: Line, noise_ns: float, range_ns: float
) -> Change | None:
    total = _sums_of(ticks, near)
    if total.count < 2 * _SHORTEST or _band_ns(ticks, near, total) <= _BAND * range_ns:
        return None
    noise_ns2 = noise_ns * noise_ns
    bent = paused = Change(total.rest - _CHANGED * noise_ns2, total.count, 0.0, False)
    old = _Sums()
    for passed, (number, t_ns) in enumerate(ticks, start=1):
        old.add(number - near.beat, t_ns - near.ns_at(number))
        new = total.without(old)
        if passed < _SHORTEST or not new.count:
            continue
        rest, slope = parallel(old, new)
        if rest < paused.rest_ns2:
            paused = Change(rest, new.count, near.ns_per_beat + slope, True)
        if new.count >= _SHORTEST and (rest := old.rest + new.rest) < bent.rest_ns2:
            bent = Change(rest, new.count, near.ns_per_beat + slope, False)
    if paused.same_tempo and paused.rest_ns2 <= bent.rest_ns2 + _BENT * noise_ns2:
        # So few ticks may as well be late ones.
        return paused if paused.count >= _SHORTEST else None
    return bent if bent.count < total.count else None


def _band_ns(ticks: Collection[tuple[int, int]], near: Line, sums: _Sums) -> float:
    """How far apart ticks lie across their best line."""
    slope = sums.slope(0.0, 0.0)
    off = [t - near.ns_at(n) - slope * (n - near.beat) for n, t in ticks]
    return max(off) - min(off)


def _sums_of(ticks: Iterable[tuple[int, int]], near: Line) -> _Sums:
    sums = _Sums()
    for number, t_ns in ticks:
        sums.add(number - near.beat, t_ns - near.ns_at(number))
    return sums


def misfit_ns2(points: Iterable[tuple[int, float]]) -> float:
    """The squared distance that the best line through (number, ns) leaves."""
    sums = _Sums()
    for number, t_ns in points:
        sums.add(number, t_ns)
    return sums.rest
