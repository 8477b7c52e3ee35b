"""Real-time priority for what sends notes, and a larger share for what makes them, where the system
allows it."""

from __future__ import annotations

import os
import sys

_HIGH_PRIORITY_CLASS = 0x80  # of Windows
_SHARE = -10  # a nice value: ten times the share of an ordinary program
_PRIORITY = 4  # below JACK (its server has 10, its clients 5), above everything ordinary


def raise_priority() -> str:
    """Give this process's threads, those to come included, real-time priority; one line that says
    whether it was got and what would help."""
    if sys.platform == "win32":
        return _sharpen_windows()
    if sys.platform != "linux":
        return "real-time priority: not asked for on this system"
    try:
        for thread in map(int, os.listdir("/proc/self/task")):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # JACK's own keep what they have
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError:
        return (
            "real-time priority: refused, timing may suffer on a busy machine; allow it with"
            " `@audio - rtprio 95` in /etc/security/limits.d/audio.conf and membership in audio"
        )
    return f"real-time priority: SCHED_FIFO {_PRIORITY}"


def raise_share() -> str:
    """Let this process's threads, those to come included, have the processor before ordinary
    programs; one line that says whether it was got. It is no real-time priority: a model may
    compute for seconds, and nobody could do anything meanwhile."""
    if sys.platform != "linux":
        return "share of the processor: not asked for on this system"
    try:
        for thread in map(int, os.listdir("/proc/self/task")):
            os.setpriority(os.PRIO_PROCESS, thread, _SHARE)
    except (OSError, ProcessLookupError):
        return (
            "share of the processor: an ordinary one, first notes may be late on a busy machine;"
            " allow more with `@audio - nice -19` in /etc/security/limits.d/audio.conf and"
            " membership in audio"
        )
    return f"share of the processor: nice {_SHARE}"


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
