"""An input and an output on JACK, and what comes in goes out at once: `python echo_ports.py NAME`.

What a message takes through this process it takes through the ports of any program. It says
`ready`, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
import time

import rtmidi

_NAP_S = 0.0001  # a loop without any nap starves the driver's thread of the GIL
_PRIORITY = 4  # as the service has


def main() -> None:
    name = sys.argv[1]
    listener = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name=f"{name} Listener")
    player = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name=f"{name} Player")
    listener.open_virtual_port("in")
    player.open_virtual_port("out")
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    gc.disable()
    for thread in map(int, os.listdir("/proc/self/task")):
        if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # JACK's own keep what they have
            with contextlib.suppress(PermissionError):
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    print("ready", flush=True)
    while not ended.is_set():
        while (found := listener.get_message()) is not None:
            player.send_message(found[0])
        time.sleep(_NAP_S)
    # A client that just vanishes can hang the server for seconds.
    player.delete()
    listener.delete()


if __name__ == "__main__":
    main()
