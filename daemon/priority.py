"""Real-time priority, where the system allows it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_HIGH_PRIORITY_CLASS = 0x80  # of Windows
# Below JACK (its server has 10, its clients 5), above everything ordinary: a larger share would not
# do, since a system that groups programs by session compares shares within a session only.
SENDING, MAKING = 4, 1  # notes that go out on time; notes that are made in time for that


def raise_priority(level: int = SENDING) -> str:
    """Give this process's threads, those to come included, real-time priority; one line that says
    whether it was got and what would help."""
    if sys.platform == "win32" and level == SENDING:
        return _sharpen_windows()
    if sys.platform != "linux":
        return "real-time priority: not asked for on this system"
    try:
        for thread in map(int, os.listdir("/proc/self/task")):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # JACK's own keep what they have
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(level))
    except OSError:
        return (
            "real-time priority: refused, timing may suffer on a busy machine; allow it with"
            " `@audio - rtprio 95` in /etc/security/limits.d/audio.conf and membership in audio"
        )
    return f"real-time priority: SCHED_FIFO {level}"


@contextmanager
def at_leisure() -> Iterator[None]:
    """What nobody waits for, done as ordinary ones by this process's threads of real-time priority:
    the caller, and the model's threads that help it."""
    if sys.platform != "linux":
        yield
        return
    levels: dict[int, os.sched_param] = {}
    for thread in map(int, os.listdir("/proc/self/task")):
        with suppress(ProcessLookupError):  # it ends just now
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                levels[thread] = os.sched_getparam(thread)
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        for thread, level in levels.items():
            with suppress(ProcessLookupError):
                os.sched_setscheduler(thread, os.SCHED_FIFO, level)


def _sharpen_windows() -> str:
    """Waits there end on a tick of 15.6 ms, unless a process asks for finer ones."""
    if sys.platform != "win32":
        raise AssertionError("only for Windows")
    import ctypes

    finer = ctypes.WinDLL("winmm").timeBeginPeriod(1) == 0  # until the process ends
    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_ulong)
    raised = bool(kernel.SetPriorityClass(kernel.GetCurrentProcess(), _HIGH_PRIORITY_CLASS))
    timer = "1 ms" if finer else "left at 15.6 ms: notes may be late"
    return f"priority: {'high' if raised else 'refused'}; timer: {timer}"
