"""When messages arrived, though they are only looked for now and then. Pure."""

from __future__ import annotations

_DRIFT = 100e-6  # how much two clocks of one machine may drift apart


class ArrivalTimes:
    """Turns a driver's delta times into times of the daemon's clock.

    The sum of the deltas is the driver's own clock, up to an offset. A message found in a poll
    arrived after the poll before it and before this one, so each one bounds the offset from both
    sides; the least of the upper bounds is soon right to a fraction of the polling interval. The
    offset may grow slowly meanwhile: the clocks drift, and one may stand still in a suspend.
    """

    def __init__(self) -> None:
        self._driver_ns = 0.0
        self._offset_ns: float | None = None
        self._anchored_ns = 0
        self._latest_ns = 0

    def arrival_ns(self, delta_s: float, drained_ns: int, polled_ns: int) -> int:
        """When a message arrived that was found at `polled_ns`, `delta_s` after the one before
        it; at `drained_ns` nothing had been left waiting."""
        self._driver_ns += delta_s * 1e9
        if self._offset_ns is None:
            self._offset_ns = polled_ns - self._driver_ns
        else:
            self._offset_ns += _DRIFT * (polled_ns - self._anchored_ns)
            self._offset_ns = max(self._offset_ns, drained_ns - self._driver_ns)
            self._offset_ns = min(self._offset_ns, polled_ns - self._driver_ns)
        self._anchored_ns = polled_ns
        self._latest_ns = max(self._latest_ns, round(self._driver_ns + self._offset_ns))
        return self._latest_ns
