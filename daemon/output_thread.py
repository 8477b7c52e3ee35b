"""The thread that keeps time: it sleeps until an event is due, and sends.

Where the MIDI system knows times, events go to it some milliseconds early. Where it does not, the
thread spins through the last half millisecond.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from rwkv_music.timebase import NS_PER_MS

from .clock import Clock
from .ports.base import OutputPort
from .scheduler import Event, Release, Scheduler, Sent, Strike, note_off
from .silence import ends_sound

_MARGIN_NS = 4 * NS_PER_MS  # that a busy machine may wake this thread late
_AGAIN_NS = 10 * NS_PER_MS  # when what was refused is tried again


class Output:
    """A scheduler in front of a port. `put`, `stop` and `take_sent` may be called by any thread;
    who calls `pump` is the thread that sends (in tests the test itself)."""

    def __init__(self, port: OutputPort, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._scheduler = Scheduler()
        self._sent: deque[Sent] = deque()
        self._owed: dict[bytes, None] = {}  # what ends a sound and was refused, in order

    def put(self, *events: Event) -> None:
        """Have events sent at their deadlines; those in the past, at once."""
        with self._lock:
            before = self._scheduler.next_ns
            for event in events:
                self._scheduler.put(event)
            earlier = self._scheduler.next_ns != before
        if earlier:
            self._wake.set()

    @property
    def latency_ns(self) -> int:
        """So long before its time an event should be put, to leave at it."""
        latency_ns = self._port.latency_ns
        return latency_ns + _MARGIN_NS if latency_ns else 0

    def pump(self) -> int | None:
        """Send what is due; when to come again for the next event."""
        early_ns = self.latency_ns
        with self._lock:
            self._settle()
            for messages, event, cut in self._scheduler.due(self._clock.now_ns() + early_ns):
                leaves_ns = max(event.deadline_ns, self._clock.now_ns())
                for message in messages:
                    leaves_ns = self._send(message, event.deadline_ns) or self._clock.now_ns()
                self._sent.append(Sent(event, leaves_ns, cut))
            next_ns = self._scheduler.next_ns
            moments = [] if next_ns is None else [next_ns - early_ns]
            if self._owed:
                moments.append(self._clock.now_ns() + _AGAIN_NS)
            return min(moments, default=None)

    def stop(self, owners: set[int] | None = None) -> None:
        """Silence these owners' notes, or everything, now; drop what they had still to come."""
        with self._lock:
            self._scheduler.drop(owners)
            for message in self._scheduler.release(owners):
                leaves_ns = self._send(message)
                if leaves_ns is not None:
                    self._take_back(message, leaves_ns)

    def _take_back(self, ends: bytes, leaves_ns: int) -> None:
        """A note whose end leaves before it was to begin will not be heard (see OutputPort.send):
        tell of its end only."""
        for place in reversed(range(len(self._sent))):
            strike, sent_ns = self._sent[place].event, self._sent[place].sent_ns
            if isinstance(strike, Strike) and note_off(strike.channel, strike.pitch) == ends:
                if sent_ns >= leaves_ns:
                    end = Release(leaves_ns, strike.owner, strike.channel, strike.pitch)
                    self._sent[place] = replace(self._sent[place], event=end)
                return

    def send_now(self, *messages: bytes) -> None:
        """Send messages that leave the ledger alone."""
        with self._lock:
            for message in messages:
                self._send(message)

    def _send(self, message: bytes, at_ns: int | None = None) -> int | None:
        """Under the lock. A MIDI system that stands still refuses, and plays what it took before
        when it goes on: what was to end that is not forgotten."""
        self._settle()
        leaves_ns = self._port.send(message, at_ns)
        if self._is_refused(leaves_ns) and ends_sound(message):
            self._owed[message] = None
            self._wake.set()
        return leaves_ns

    def _settle(self) -> None:
        """Send what is owed, as far as it is taken."""
        for message in tuple(self._owed):
            if self._is_refused(self._port.send(message)):
                return
            del self._owed[message]

    def _is_refused(self, leaves_ns: int | None) -> bool:
        return leaves_ns is None and self._port.latency_ns > 0

    def take_sent(self) -> list[Sent]:
        """What has gone out since the last call."""
        now_ns = self._clock.now_ns()
        taken: list[Sent] = []
        with self._lock:
            while self._sent and self._sent[0].sent_ns <= now_ns:
                taken.append(self._sent.popleft())
        return taken

    @property
    def sounding(self) -> int:
        """How many notes are on the ledger."""
        return len(self._scheduler.sounding)

    def wake(self) -> None:
        """End the `wait` that is going on."""
        self._wake.set()

    def wait(self, next_ns: int | None) -> None:
        """Sleep until `next_ns`, or until something earlier was put."""
        if next_ns is None:
            self._wake.wait()  # without a deadline there is nothing to spin for
        else:
            exactly = not self._port.latency_ns  # else the frame is the MIDI system's affair
            self._clock.wait_until_ns(next_ns, self._wake, exactly=exactly)
        self._wake.clear()


class OutputThread(threading.Thread):
    """Pumps an Output until it is told to end."""

    def __init__(self, output: Output) -> None:
        super().__init__(name="output", daemon=True)
        self._output = output
        self._ending = False

    def run(self) -> None:
        while not self._ending:
            self._output.wait(self._output.pump())

    def end(self) -> None:
        """Ask the thread to end, and wait for it."""
        self._ending = True
        self._output.wake()
        self.join(timeout=2)
