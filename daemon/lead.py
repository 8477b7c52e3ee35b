"""How long the worker needs for a first chord, of late. Pure."""

from __future__ import annotations

from collections import deque

_OF_LATE = 3  # completions, after which a single slow one is forgotten


class Lead:
    """The longest of the last few times: a chord whose last tone is late is heard as a mistake,
    and one that is asked for too early misses what the player did last. Several takes are made at
    once and take longer, so every number of takes has times of its own."""

    def __init__(self) -> None:
        self._estimate_ns = 0  # of a worker that has played nothing yet
        self._times_ns: dict[int, deque[int]] = {}  # by number of takes

    def ns(self, takes: int = 1) -> int:
        """What so many takes are expected to need. Of a number that there has not been yet: what a
        smaller one needs, and half of what one take would for each further one, as in an engine
        whose weights lie in the cache; or what a larger one needs."""
        known = self._times_ns
        if not known:
            return self._estimate_ns * (1 + takes) // 2
        fewer = [number for number in known if number <= takes]
        if fewer:
            nearest = max(fewer)
            return max(known[nearest]) * (1 + takes) // (1 + nearest)
        return max(known[min(known)])

    def restart(self, estimate_ns: int) -> None:
        """Another worker has come, which expects to need so long for one take, at the most. Its
        first completion shows how long it needs."""
        self._estimate_ns = estimate_ns
        self._times_ns.clear()

    def begin(self, takes: int) -> None:
        """The first note of a completion has come."""
        self._times_ns.setdefault(takes, deque(maxlen=_OF_LATE)).append(0)

    def measure(self, takes: int, time_ns: int) -> None:
        """A note of its first chord has, so long after it was asked for."""
        times_ns = self._times_ns[takes]
        times_ns[-1] = max(times_ns[-1], time_ns)
