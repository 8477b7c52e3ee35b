"""How long a first chord needs, from being asked for to leaving us. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

_OF_LATE = 3  # completions, after which a single slow one is forgotten


class Lead:
    """The longest of the last few times: a chord whose last tone is late is heard as a mistake,
    and one that is asked for too early misses what the player did last. Several takes are made at
    once and take longer, so every number of takes has times of its own."""

    def __init__(self, output_ns: Callable[[], int] = lambda: 0) -> None:
        """`output_ns`: what the output needs of it."""
        self._output_ns = output_ns
        self._estimate_ns = 0  # of a worker that has played little yet
        self._completions = 0
        self._times_ns: dict[int, deque[int]] = {}  # by number of takes

    def ns(self, takes: int = 1) -> int:
        """What so many takes are expected to need: as much as of late or, as long as there have
        been few completions, as was estimated, if that is more."""
        estimate_ns = self._estimate_ns if self._completions < _OF_LATE else 0
        making_ns = max(self._of_late_ns(takes), _scaled(estimate_ns, 1, takes))
        return making_ns + self._output_ns()

    def _of_late_ns(self, takes: int) -> int:
        """Of a number that there has not been yet, what follows from a smaller one, or what a
        larger one needs."""
        known = self._times_ns
        fewer = [number for number in known if number <= takes]
        if fewer:
            nearest = max(fewer)
            return _scaled(max(known[nearest]), nearest, takes)
        return max(known[min(known)]) if known else 0

    def restart(self, estimate_ns: int) -> None:
        """Another worker has come, which expects to need so long for one take, at the most."""
        self._estimate_ns, self._completions = estimate_ns, 0
        self._times_ns.clear()

    def begin(self, takes: int) -> None:
        """The first note of a completion has come."""
        self._completions += 1
        self._times_ns.setdefault(takes, deque(maxlen=_OF_LATE)).append(0)

    def measure(self, takes: int, time_ns: int) -> None:
        """A note of its first chord has, so long after it was asked for."""
        times_ns = self._times_ns[takes]
        times_ns[-1] = max(times_ns[-1], time_ns)


def _scaled(time_ns: int, takes: int, more: int) -> int:
    """What more takes need: half of what one would for each further one, as on one thread in an
    engine whose weights lie in the cache."""
    return time_ns * (1 + more) // (1 + takes)
