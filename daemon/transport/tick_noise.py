"""How much the times of ticks jitter. Pure."""

from __future__ import annotations

from collections import deque


class TickNoise:
    """How much single ticks jitter, from second differences: in those a steady or slowly changing
    tempo does not show, and a sudden change only once.

    Ticks are mostly late by being put off to the next period of an audio driver. Such lateness
    runs through its range in long ramps, most differences are 0, and only the rare large ones tell
    how long the period is; so it is those that are looked at, but for the very largest, which are
    accidents.
    """

    _KEPT, _FEW = 128, 48
    _UNKNOWN_NS, _LEAST_NS, _MOST_NS = 1.5e6, 1e5, 6e6
    _ACCIDENTS = 0.03
    _COARSE_NS, _BEYOND_NS = 6e5, 2.5e5
    _SEEN, _OTHER, _NEARLY, _MOST_ODD = 2, 0.3, 0.2, 0.15

    def __init__(self) -> None:
        self._range_ns = 0.0
        self._times: deque[int] = deque(maxlen=3)
        self._gaps: deque[int] = deque(maxlen=self._KEPT)
        self._differences: deque[int] = deque(maxlen=self._KEPT)

    @property
    def ns(self) -> float:
        """The deviation of a tick; of a uniform lateness, its range by the root of twelve."""
        least = self._UNKNOWN_NS if len(self._differences) < self._FEW else self._LEAST_NS
        return min(max(self._range_ns / 12**0.5, least), self._MOST_NS)

    @property
    def range_ns(self) -> float:
        return self.ns * 12**0.5

    @property
    def lateness_ns(self) -> float | None:
        """By how much ticks are late at most, but for a few, where a driver puts them off to its
        next period. None where that is not seen: then the gaps between ticks are of two lengths,
        one period apart. A tick that is late by accident makes one gap longer and the next one
        shorter, and a clock that slips makes some longer by anything."""
        if len(self._gaps) < self._FEW or self._range_ns < self._COARSE_NS:
            return None
        usual_ns = sorted(self._gaps)[len(self._gaps) // 2]
        other_ns = [gap - usual_ns for gap in self._gaps]
        other_ns = sorted(gap for gap in other_ns if abs(gap) > self._OTHER * self._range_ns)
        if len(other_ns) < self._SEEN:
            return None
        period_ns = other_ns[len(other_ns) // 2]
        odd = sum(abs(gap - period_ns) > self._NEARLY * abs(period_ns) for gap in other_ns)
        return self._range_ns + self._BEYOND_NS if odd <= self._MOST_ODD * len(other_ns) else None

    def interrupt(self) -> None:
        """The next tick does not follow the last."""
        self._times.clear()

    def drop_latest(self, count: int) -> None:
        """So many told their time wrong."""
        for _ in range(min(count, len(self._differences))):
            self._differences.pop()
        for _ in range(min(count, len(self._gaps))):
            self._gaps.pop()
        self._times.clear()

    def add(self, t_ns: int) -> None:
        if self._times:
            self._gaps.append(t_ns - self._times[-1])
        self._times.append(t_ns)
        if len(self._times) == 3:
            first, second, third = self._times
            self._differences.append(abs(third - 2 * second + first))
            ordered = sorted(self._differences)
            self._range_ns = float(ordered[int((len(ordered) - 1) * (1 - self._ACCIDENTS))])
