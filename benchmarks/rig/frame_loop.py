"""The frame probe's process: `python frame_loop.py NAME`, orders and answers as lines of JSON.

A JACK client of its own: what it sends and hears stands in frames of the server's time, exactly,
whenever this process came to look. Its cost is a callback in Python in every period.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import json
import os
import sys
import time
from collections import deque
from itertools import count

import jack

_LONG_GAP_NS = 3_000_000  # between two periods: then JACK, or the machine, stood still
_FLUSH_S = 0.05
_LOOK_S = 0.005
_PRIORITY = 3  # below the service's


class FrameLoop:
    """Times in orders and answers are ns: those of `time.monotonic_ns` at the moment in which
    there was first something to send, and from then on as the server's frames go by."""

    def __init__(self, name: str) -> None:
        self._client = jack.Client(name, no_start_server=True)
        self._in = self._client.midi_inports.register("in")
        self._out = self._client.midi_outports.register("out")
        self._ns_a_frame = 1e9 / self._client.samplerate
        self._base = 0, 0  # a frame, and when it is
        self._coming: deque[tuple[int, int, bytes]] = deque()
        self._due: list[tuple[int, int, bytes]] = []
        self._sent: deque[tuple[int, int, bytes]] = deque()
        self._heard: deque[tuple[int, bytes]] = deque()
        self._stalls: deque[int] = deque()
        self._last_ns = 0
        self._number = count()
        self._client.set_process_callback(self._process)

    def run(self) -> None:
        gc.freeze()
        gc.disable()
        with self._client:  # activates it
            self._raise_priority()
            self._answer([])
            for line in sys.stdin:
                name, *arguments = json.loads(line)
                try:
                    answer = getattr(self, f"_do_{name}")(*arguments)
                except jack.JackError as error:
                    answer = str(error)
                self._answer(answer)
            time.sleep(_FLUSH_S)

    # --- in JACK's thread ----------------------------------------------------------------------

    def _process(self, frames: int) -> None:
        start = self._client.last_frame_time
        now_ns = time.monotonic_ns()
        if self._last_ns and now_ns - self._last_ns > _LONG_GAP_NS:
            self._stalls.append(start)
        self._last_ns = now_ns
        for offset, data in self._in.incoming_midi_events():
            self._heard.append((start + offset, bytes(data)))
        self._out.clear_buffer()
        while self._coming:
            heapq.heappush(self._due, self._coming.popleft())
        while self._due and self._due[0][0] < start + frames:
            due, _, message = heapq.heappop(self._due)
            offset = max(due - start, 0)  # in the past means now
            self._out.write_midi_event(offset, message)
            self._sent.append((due, start + offset, message))

    # --- orders --------------------------------------------------------------------------------

    def _do_play(self, messages: list[tuple[int, list[int]]]) -> list[object]:
        if not self._due and not self._coming:
            self._base = self._client.frame_time, time.monotonic_ns()
        frame, at_ns = self._base
        for due_ns, message in messages:
            due = frame + round((due_ns - at_ns) / self._ns_a_frame)
            self._coming.append((due, next(self._number), bytes(message)))
        return []

    def _do_wait(self) -> list[object]:
        while self._due or self._coming:
            time.sleep(_LOOK_S)
        sent = [self._sent.popleft() for _ in range(len(self._sent))]
        return [[self._ns(due), self._ns(frame), list(message)] for due, frame, message in sent]

    def _do_heard(self) -> list[object]:
        heard = [self._heard.popleft() for _ in range(len(self._heard))]
        return [[self._ns(frame), list(message)] for frame, message in heard]

    def _do_stalls(self) -> list[object]:
        return [self._ns(self._stalls.popleft()) for _ in range(len(self._stalls))]

    def _do_connect(self, source: str, destination: str) -> list[object]:
        self._client.connect(source, destination)
        return []

    def _ns(self, frame: int) -> int:
        base, at_ns = self._base
        return at_ns + round((frame - base) * self._ns_a_frame)

    def _raise_priority(self) -> None:
        """What measures should not wait for what is measured, nor for other work."""
        for thread in map(int, os.listdir("/proc/self/task")):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:  # JACK's own keep what they have
                with contextlib.suppress(PermissionError):
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(_PRIORITY))

    def _answer(self, answer: object) -> None:
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    jack.set_error_function(lambda text: None)
    FrameLoop(sys.argv[1]).run()
