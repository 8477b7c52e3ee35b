"""The clock that we started ourselves, for a note or a request: it stops by itself again. Pure."""

from __future__ import annotations

_QUIET_BARS = 4


class OwnClock:
    """Knows whether the transport runs because of us alone, and how long nobody has played."""

    def __init__(self) -> None:
        self._runs = False
        self._quiet_bars = 0

    def started(self) -> None:
        """We have started it."""
        self._runs, self._quiet_bars = True, 0

    def led(self) -> None:
        """Somebody else has started, moved or stopped the transport: it is theirs now."""
        self._runs = False

    def rests(self, *, busy: bool) -> bool:
        """Whether to stop now that a bar is over, in which somebody played or nobody did."""
        self._quiet_bars = 0 if busy else self._quiet_bars + 1
        return self._runs and self._quiet_bars >= _QUIET_BARS
