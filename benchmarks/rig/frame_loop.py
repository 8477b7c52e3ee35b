"""The frame probe's process: `python frame_loop.py NAME`, records in and out (frame_records.py).

A JACK client of its own: what it sends and hears stands in frames of the server's time, exactly,
whenever this process came to look. All of its Python runs in JACK's callback, a few microseconds in
every period, and no other thread ever has Python's lock: who waits for that lock in a callback
holds up the server, and everybody's music with it.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import sys
import threading
import time
from collections import deque
from itertools import count

import jack
from frame_records import HEARD, LONGEST, ORDER, READY, SENT, STALLED, TOLD

_ORDERS_A_PERIOD = 16
_LATEST = 32  # periods, of which some have begun on time
_STDIN, _STDOUT = 0, 1
_PRIORITY = 3  # below the service's


class FrameLoop:
    """Times are those of `time.monotonic_ns`. A frame is where it would be had none of the latest
    periods begun late; when the server comes too late for a period its frames stand still, for as
    long as it likes, and the clock does not."""

    def __init__(self, name: str) -> None:
        self._client = jack.Client(name, no_start_server=True)
        self._in = self._client.midi_inports.register("in")
        self._out = self._client.midi_outports.register("out")
        self._ns_a_frame = 1e9 / self._client.samplerate
        self._offsets_ns: deque[float] = deque(maxlen=_LATEST)  # of frame 0
        self._due: list[tuple[int, int, bytes]] = []
        self._told: list[bytes] = []
        self._number = count()
        self._ended = threading.Event()
        self._client.set_process_callback(self._process)

    def run(self) -> None:
        """Serve until the orders end."""
        os.set_blocking(_STDIN, False)
        os.set_blocking(_STDOUT, False)
        gc.freeze()
        gc.disable()
        with self._client:  # activates it
            self._raise_priority()
            self._ended.wait()

    # --- in JACK's thread ----------------------------------------------------------------------

    def _process(self, frames: int) -> None:
        period_ns = frames * self._ns_a_frame
        start_ns = self._start_ns(period_ns)
        for offset, data in self._in.incoming_midi_events():
            self._tell(HEARD, round(start_ns + offset * self._ns_a_frame), bytes(data))
        self._out.clear_buffer()
        self._take_orders()
        while self._due and self._due[0][0] < start_ns + period_ns:
            due_ns, _, message = heapq.heappop(self._due)
            offset = max(int((due_ns - start_ns) / self._ns_a_frame), 0)  # in the past means now
            self._out.write_midi_event(offset, message)
            self._tell(SENT, round(start_ns + offset * self._ns_a_frame), message, due_ns)
        self._write()

    def _start_ns(self, period_ns: float) -> float:
        """When this period should have begun."""
        frames_ns = self._client.last_frame_time * self._ns_a_frame
        since_ns = self._client.frames_since_cycle_start * self._ns_a_frame
        offset_ns = time.monotonic_ns() - since_ns - frames_ns
        if not self._offsets_ns:
            self._tell(READY, round(frames_ns + offset_ns))
        elif offset_ns > min(self._offsets_ns) + period_ns:
            self._tell(STALLED, round(frames_ns + offset_ns))
            self._offsets_ns.clear()
        self._offsets_ns.append(offset_ns)
        return frames_ns + min(self._offsets_ns)

    def _take_orders(self) -> None:
        try:
            orders = os.read(_STDIN, _ORDERS_A_PERIOD * ORDER.size)
        except BlockingIOError:
            return
        if not orders:
            self._ended.set()
        for due_ns, length, message in ORDER.iter_unpack(orders):
            heapq.heappush(self._due, (due_ns, next(self._number), message[:length]))

    def _tell(self, kind: bytes, at_ns: int, message: bytes = b"", due_ns: int = 0) -> None:
        message = message[:LONGEST]
        self._told.append(TOLD.pack(kind, at_ns, due_ns, len(message), message))

    def _write(self) -> None:
        while self._told:  # a record is shorter than what a pipe takes whole or not at all
            try:
                os.write(_STDOUT, self._told[0])
            except BlockingIOError:
                return
            self._told.pop(0)

    # --- at the start --------------------------------------------------------------------------

    def _raise_priority(self) -> None:
        """What measures should not wait for what is measured, nor for other work."""
        for thread in map(int, os.listdir("/proc/self/task")):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # JACK's own keep what they have
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_PRIORITY))


if __name__ == "__main__":
    jack.set_error_function(lambda text: None)
    FrameLoop(sys.argv[1]).run()
