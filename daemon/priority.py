"""Real-time priority, where the system allows it."""

from __future__ import annotations

import os
import sys

_PRIORITY = 10  # below JACK's own threads, above everything ordinary


def raise_priority() -> str:
    """Give this process's threads, those to come included, real-time priority; one line that says
    whether it was got and what would help."""
    if sys.platform != "linux":
        return "real-time priority: not asked for on this system"
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except (OSError, ProcessLookupError):
        return (
            "real-time priority: refused, timing may suffer on a busy machine; allow it with"
            " `@audio - rtprio 95` in /etc/security/limits.d/audio.conf and membership in audio"
        )
    return f"real-time priority: SCHED_FIFO {_PRIORITY}"
