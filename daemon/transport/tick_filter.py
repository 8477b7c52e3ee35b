"""From jittering tick times to a steady line through them."""

from __future__ import annotations

from collections import deque

from .timeline import Line

_WINDOW = 48
_STEADY = 12


class TickFilter:
    """A least-squares line through the last ticks. `beat` in its line counts ticks."""

    def __init__(self, ns_per_tick: float) -> None:
        self.index = -1  # of the latest tick
        self._times: deque[tuple[int, int]] = deque(maxlen=_WINDOW)
        self._line = Line(0, 0.0, ns_per_tick)

    @property
    def line(self) -> Line:
        return self._line

    @property
    def ns_per_tick(self) -> float:
        return self._line.ns_per_beat

    @property
    def steady(self) -> bool:
        return len(self._times) >= _STEADY

    def restart(self) -> None:
        """Forget the times, keep the tempo: the ticks had ceased."""
        self._times.clear()

    def tick(self, t_ns: int) -> None:
        self.index += 1
        self._times.append((self.index, t_ns))
        self._fit()

    def tick_on_beat(self, t_ns: int) -> None:
        """A tick from which the music starts, which need not be where the ticks before it led."""
        self.restart()
        self.tick(t_ns)

    def _fit(self) -> None:
        count = len(self._times)
        base_ns = self._times[-1][1]
        mean_n = sum(n for n, _ in self._times) / count
        mean_t = sum(t - base_ns for _, t in self._times) / count
        spread = sum((n - mean_n) ** 2 for n, _ in self._times)
        slope = self._line.ns_per_beat
        if count > 1:
            slope = sum((n - mean_n) * (t - base_ns - mean_t) for n, t in self._times) / spread
        end_ns = mean_t + slope * (self.index - mean_n)
        self._line = Line(base_ns + round(end_ns), float(self.index), max(slope, 1.0))
