"""How long the worker needs for a first chord, of late. Pure."""

from __future__ import annotations

from collections import deque

_OF_LATE = 3  # completions, after which a single slow one is forgotten


class Lead:
    """The longest of the last few times: a chord whose last tone is late is heard as a mistake,
    and one that is asked for too early misses what the player did last."""

    def __init__(self) -> None:
        self._times_ns: deque[int] = deque(maxlen=_OF_LATE)

    @property
    def ns(self) -> int:
        return max(self._times_ns, default=0)

    def restart(self, time_ns: int) -> None:
        """Another worker has come, which has measured itself."""
        self._times_ns.clear()
        self._times_ns.append(time_ns)

    def begin(self) -> None:
        """The first note of a completion has come."""
        self._times_ns.append(0)

    def measure(self, time_ns: int) -> None:
        """A note of its first chord has, so long after it was asked for."""
        self._times_ns[-1] = max(self._times_ns[-1], time_ns)
