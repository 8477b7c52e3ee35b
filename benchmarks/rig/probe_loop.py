"""The probe's process: `python probe_loop.py NAME`, orders and answers as lines of JSON."""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import queue
import sys
import threading
import time
from itertools import count

import jack
import rtmidi

_NAP_S = 0.0001  # a loop without any nap starves the driver's thread of the GIL
_SPIN_NS = 400_000
_FLUSH_S = 0.05
_PRIORITY = 3  # below the service's


class Loop:
    """Polls its input, sends what is due, and follows orders between the two."""

    def __init__(self, name: str) -> None:
        self._input = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name=f"{name} Listener")
        self._input.open_virtual_port("in")
        self._input.ignore_types(False, False, False)
        self._output = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name=f"{name} Player")
        self._output.open_virtual_port("out")
        self._orders: queue.SimpleQueue[list | None] = queue.SimpleQueue()
        self._due: list[tuple[int, int, list[int]]] = []
        self._sent: list[tuple[int, int, list[int]]] = []
        self._heard: list[tuple[int, list[int]]] = []
        self._number = count()
        self._waiting = False

    def run(self) -> None:
        threading.Thread(target=self._read_orders, daemon=True).start()
        gc.freeze()
        gc.disable()
        self._raise_priority()
        self._answer([])
        while self._follow_orders():
            self._poll()
            self._send_due()
            time.sleep(_NAP_S)
        time.sleep(_FLUSH_S)
        # A client that just vanishes can hang the server for seconds.
        self._output.delete()
        self._input.delete()

    def _raise_priority(self) -> None:
        """What measures should not wait for what is measured, nor for other work."""
        for thread in map(int, os.listdir("/proc/self/task")):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # JACK's own keep what they have
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_PRIORITY))

    def _poll(self) -> None:
        while (found := self._input.get_message()) is not None:
            self._heard.append((time.monotonic_ns(), found[0]))

    def _send_due(self) -> None:
        while self._due and self._due[0][0] - time.monotonic_ns() < _SPIN_NS:
            due_ns, _, message = heapq.heappop(self._due)
            while time.monotonic_ns() < due_ns:
                pass
            self._output.send_message(message)
            self._sent.append((due_ns, time.monotonic_ns(), message))
        if self._waiting and not self._due:
            self._waiting = False
            self._answer(self._sent)
            self._sent = []

    def _follow_orders(self) -> bool:
        while not self._orders.empty():
            order = self._orders.get()
            if order is None:
                return False
            name, *arguments = order
            if name == "play":
                for due_ns, message in arguments[0]:
                    heapq.heappush(self._due, (due_ns, next(self._number), message))
                self._answer([])
            elif name == "wait":
                self._waiting = True
            elif name == "heard":
                self._answer(self._heard)
                self._heard = []
            elif name == "connect":
                self._connect(*arguments)
        return True

    def _connect(self, source: str, destination: str) -> None:
        try:
            client = jack.Client("rig", no_start_server=True)
            try:
                client.connect(source, destination)
            finally:
                client.close()
        except jack.JackError as error:
            self._answer(str(error))
        else:
            self._answer([])

    def _read_orders(self) -> None:
        for line in sys.stdin:
            self._orders.put(json.loads(line))
        self._orders.put(None)

    def _answer(self, answer: object) -> None:
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    jack.set_error_function(lambda text: None)
    Loop(sys.argv[1]).run()
