"""The daemon's one notion of time: nanoseconds that never go back."""

from __future__ import annotations

import sys
import threading
import time
from typing import Protocol

_SPIN_NS = 500_000
_SLEEP_NS = 1_000_000_000

# Windows' monotonic clock moves in steps of 15.6 ms; its performance counter is monotonic as well.
_now_ns = time.perf_counter_ns if sys.platform == "win32" else time.monotonic_ns


class Clock(Protocol):
    """What the threads of the io process sleep on."""

    def now_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        ...

    def wait_until_ns(
        self, deadline_ns: int, wake: threading.Event | None = None, *, exactly: bool = True
    ) -> bool:
        """Return True at the deadline, if not `exactly` then a little after it; or False as soon
        as `wake` is set (which stays set)."""
        ...


class SystemClock:
    """The machine's clock. Sleeps, and spins through the last half millisecond: a sleeping thread
    wakes up to 0.1 ms late, a spinning one within microseconds."""

    def __init__(self, spin_ns: int = _SPIN_NS) -> None:
        self._spin_ns = spin_ns

    def now_ns(self) -> int:
        return _now_ns()

    def wait_until_ns(
        self, deadline_ns: int, wake: threading.Event | None = None, *, exactly: bool = True
    ) -> bool:
        rest_ns = deadline_ns - _now_ns() - (self._spin_ns if exactly else 0)
        if rest_ns > 0:
            if wake is None:
                time.sleep(rest_ns / 1e9)
            elif wake.wait(rest_ns / 1e9):
                return False
        while _now_ns() < deadline_ns:
            if wake is not None and wake.is_set():
                return False
        return True


class ManualClock:
    """A clock for tests: it moves when it is told to.

    With `flows`, a wait moves the clock to its deadline instead of blocking, so that a whole
    session runs in one thread in an instant.
    """

    def __init__(self, now_ns: int = 0, flows: bool = False) -> None:
        self._now_ns = now_ns
        self._flows = flows
        self._moved = threading.Condition()

    def now_ns(self) -> int:
        return self._now_ns

    def advance_to_ns(self, now_ns: int) -> None:
        """Move on; a moment in the past leaves the clock where it is."""
        with self._moved:
            self._now_ns = max(self._now_ns, now_ns)
            self._moved.notify_all()

    def advance_ns(self, by_ns: int) -> None:
        self.advance_to_ns(self._now_ns + by_ns)

    def wait_until_ns(
        self, deadline_ns: int, wake: threading.Event | None = None, *, exactly: bool = True
    ) -> bool:
        with self._moved:
            while True:
                if wake is not None and wake.is_set():
                    return False
                if self._flows:
                    self._now_ns = max(self._now_ns, deadline_ns)
                if self._now_ns >= deadline_ns:
                    return True
                # An event cannot notify the condition, so look at it again soon.
                self._moved.wait(0.001)


def real_ns() -> int:
    """Nanoseconds that also pass while the machine is asleep: the boot clock, or the wall clock
    where there is none (which may also be set by hand)."""
    if sys.platform == "linux":
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.time_ns()


class SleepWatch:
    """Notices that the machine was asleep, from two clocks of which one stands still meanwhile.

    A clock that runs on through a suspend shows it differently: as a gap between two looks that
    were to be close together. That also catches a process that was stopped.
    """

    def __init__(self, threshold_ns: int = _SLEEP_NS) -> None:
        self._threshold_ns = threshold_ns
        self._last: tuple[int, int] | None = None

    def look(self, now_ns: int, real_ns: int, asked_ns: int = 0) -> int:
        """Nanoseconds slept since the last look, or 0. `asked_ns` is how far apart the looks were
        to be."""
        last, self._last = self._last, (now_ns, real_ns)
        if last is None:
            return 0
        passed_ns = now_ns - last[0]
        asleep_ns = max(real_ns - last[1] - passed_ns, passed_ns - asked_ns)
        return asleep_ns if asleep_ns > self._threshold_ns else 0
