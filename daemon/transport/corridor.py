"""The lines that pass all ticks within the range of their lateness, and the middle of them. Pure.

An audio driver that puts ticks off to its next period makes them late by anything up to that
period, and hardly by more. Where a tick takes nearly a whole number of periods their lateness is
one slow ramp, which least squares mistake for tempo; that each tick shuts out the lines which it
is too far from says far more. With lateness even over its range, all lines that are left are as
likely, so the best guess is their centre of gravity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .timeline import Line

_MOST_CHANGE = 0.3  # of the tempo; a larger one needs no corridor to be seen
_LATE = 0.0005  # how likely a tick is beyond the range, beside a place within it
_LEAST_SHARE = 1e-5  # of a corridor beside the likeliest one
_FROM_LINE = 3.0  # how far off a line's slope is, in ranges over its ticks
_REGAINED = 0.1  # of the doubt that a missed tick leaves, by one that is not missed
_DOUBTED = 2.0  # missed ticks that more than lateness explains
_NEARLY = 1.2  # ranges, where a single late tick is not to shut a place out

Tick = tuple[int, int]  # number, ns
Polygon = tuple[tuple[float, float], ...]  # (ns at the reference's tick, ns per tick), both off it


@dataclass(frozen=True, slots=True)
class Corridor:
    """A convex set of lines, by the corners in order; how likely each of them is; and the middle
    one, as what it is off a reference at its tick and in ns per tick."""

    corners: Polygon
    likely: float
    area: float
    at_ns: float
    slope_ns: float

    @staticmethod
    def of(corners: Polygon, likely: float) -> Corridor:
        at_0, slope_0 = corners[0]
        rays = [(at - at_0, slope - slope_0) for at, slope in corners[1:]]
        twice_area = at_sum = slope_sum = 0.0
        for (at, slope), (next_at, next_slope) in pairwise(rays):
            twice = at * next_slope - next_at * slope
            twice_area += twice
            at_sum += twice * (at + next_at)
            slope_sum += twice * (slope + next_slope)
        if not twice_area:
            return Corridor(corners, likely, 0.0, at_0, slope_0)
        at_ns = at_0 + at_sum / (3 * twice_area)
        slope_ns = slope_0 + slope_sum / (3 * twice_area)
        return Corridor(corners, likely, abs(twice_area) / 2, at_ns, slope_ns)

    @property
    def share(self) -> float:
        """How likely it is that the true line is one of these, beside other corridors."""
        return self.likely * self.area

    def through(self, ticks: float, low_ns: float, high_ns: float) -> Corridor | None:
        """Those that pass between these, so many ticks after the reference's; None if so few do
        that the tick more likely was late."""
        corners = _below(self.corners, ticks, high_ns, 1.0)
        corners = _below(corners, ticks, -low_ns, -1.0)
        if corners is self.corners:
            return self
        if len(corners) < 3:
            return None
        narrower = Corridor.of(corners, self.likely)
        return narrower if narrower.area > _LATE * self.area else None

    def weighed(self, factor: float) -> Corridor:
        """The same, so much likelier."""
        return replace(self, likely=self.likely * factor)

    def extent_ns(self, ticks: float) -> tuple[float, float]:
        """Where they are, so many ticks after the reference's."""
        all_ns = [at + ticks * slope for at, slope in self.corners]
        return min(all_ns), max(all_ns)


def _below(corners: Polygon, ticks: float, limit_ns: float, sign: float) -> Polygon:
    """What a half-plane leaves of a polygon: sign * (at + ticks * slope) <= limit."""
    over = [sign * (at + ticks * slope) - limit_ns for at, slope in corners]
    if not over or max(over) <= 0:
        return corners
    left: list[tuple[float, float]] = []
    (at_before, slope_before), over_before = corners[-1], over[-1]
    for (at, slope), over_here in zip(corners, over, strict=True):
        if (over_here > 0) != (over_before > 0):
            part = over_before / (over_before - over_here)
            left.append(
                (at_before + part * (at - at_before), slope_before + part * (slope - slope_before))
            )
        if over_here <= 0:
            left.append((at, slope))
        at_before, slope_before, over_before = at, slope, over_here
    return tuple(left)


class Corridors:
    """The lines that explain the ticks so far: one corridor for each place where the tempo may have
    changed. A value: what is left after a tick is another one."""

    def __init__(
        self, near: Line, corridors: Iterable[Corridor], range_ns: float, doubt: float = 0.0
    ) -> None:
        self._near = near
        self._corridors = tuple(corridors)
        self._range_ns = range_ns
        self.doubt = doubt  # ticks of late that they have missed

    @property
    def hold(self) -> bool:
        """Whether they explain the ticks of late."""
        return self.doubt < _DOUBTED

    @classmethod
    def around(cls, line: Line, ticks: Sequence[Tick], range_ns: float) -> Corridors:
        """The lines near that one which explain these ticks, if any do."""
        first = ticks[0][0]
        near = Line(round(line.ns_at(first)), float(first), line.ns_per_beat)
        steepest = _FROM_LINE * range_ns / len(ticks)
        box = _box(0, (-range_ns, range_ns), (-steepest, steepest))
        return cls(near, [box], range_ns)._after_all(ticks)

    def changed(
        self, places: Iterable[tuple[int, Corridors]], ticks: Sequence[Tick]
    ) -> Corridors | None:
        """The lines of another tempo that explain all ticks after one of these places, and at that
        place go on from lines that led there; None if there are none."""
        found: list[Corridor] = []
        for place, before in places:
            begins = before._extent_ns(place)
            after = [tick for tick in ticks if tick[0] > place]
            slopes = self._slopes(place, begins, after)
            if slopes is None:
                continue
            box = _box(place - self._near.beat, begins, slopes, _LATE**before.doubt)
            made = Corridors(self._near, [box], self._range_ns)._after_all(after)
            if made.doubt <= 1:
                found += [c.weighed(_LATE**made.doubt) for c in made._corridors]
        return Corridors(self._near, found, self._range_ns) if found else None

    def after(self, number: int, t_ns: int) -> Corridors:
        """What this tick leaves of them. One that is late of all leaves all, and a doubt."""
        off_ns, half_ns = t_ns - self._near.ns_at(number), self._range_ns / 2
        passed = number - self._near.beat
        left = [c.through(passed, off_ns - half_ns, off_ns + half_ns) for c in self._corridors]
        if not any(left):
            return Corridors(self._near, self._corridors, self._range_ns, self.doubt + 1)
        found = [now or was.weighed(_LATE) for now, was in zip(left, self._corridors, strict=True)]
        if len(found) > 1:
            most = max(corridor.share for corridor in found)
            found = [c.weighed(1 / most) for c in found if c.share > _LEAST_SHARE * most]
        doubt = max(self.doubt - _REGAINED, 0.0)
        return Corridors(self._near, found, self._range_ns, doubt)

    def line(self, number: int) -> Line:
        """The middle of them all, told at a tick."""
        near, found = self._near, self._corridors
        total = sum(corridor.share for corridor in found)
        at_ns = sum(corridor.share * corridor.at_ns for corridor in found) / total
        slope_ns = sum(corridor.share * corridor.slope_ns for corridor in found) / total
        t_ns = near.ns_at(number) + at_ns + slope_ns * (number - near.beat)
        return Line(round(t_ns), float(number), near.ns_per_beat + slope_ns)

    def _after_all(self, ticks: Iterable[Tick]) -> Corridors:
        left = self
        for number, t_ns in ticks:
            left = left.after(number, t_ns)
        return left

    def _slopes(
        self, place: int, begins: tuple[float, float], ticks: Sequence[Tick]
    ) -> tuple[float, float] | None:
        """What each tick alone allows of lines that begin there; None where that is nothing."""
        highest = _MOST_CHANGE * self._near.ns_per_beat
        lowest = -highest
        half_ns = _NEARLY * self._range_ns / 2
        for number, t_ns in reversed(ticks):
            off_ns, passed = t_ns - self._near.ns_at(number), number - place
            lowest = max(lowest, (off_ns - half_ns - begins[1]) / passed)
            highest = min(highest, (off_ns + half_ns - begins[0]) / passed)
            if lowest >= highest:
                return None
        return lowest, highest

    def _extent_ns(self, number: int) -> tuple[float, float]:
        """Where the lines put a tick, off the reference."""
        passed = number - self._near.beat
        extents = [corridor.extent_ns(passed) for corridor in self._corridors]
        return min(low for low, _ in extents), max(high for _, high in extents)


def _box(
    ticks: float,
    at_ns: tuple[float, float],
    slopes_ns: tuple[float, float],
    likely: float = 1.0,
) -> Corridor:
    """All lines between two values, so many ticks after the reference's, and between two slopes."""
    (low, high), (least, most) = at_ns, slopes_ns
    lines = ((low, least), (low, most), (high, most), (high, least))
    corners = tuple((at - ticks * slope, slope) for at, slope in lines)
    return Corridor.of(corners, likely / max(high - low, 1.0))
