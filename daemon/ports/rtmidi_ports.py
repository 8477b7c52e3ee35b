"""An input that is polled and an output that is paced, on python-rtmidi."""

from __future__ import annotations

import time

import rtmidi

from ..clock import Clock
from .arrival import ArrivalTimes
from .base import Arrival, InputPort, OutputPort
from .cables import Cables
from .complaints import Complaints
from .graph import Graph
from .jack_graph import abandon

_POLL_MESSAGES = 512
_SYSEX = 0xF0
_FLUSH_S, _LONGEST_FLUSH_S = 0.05, 0.5
# The ring between us and JACK holds 16 KB, four more for each message, and is emptied once a
# period. Into a full one the driver waits for ever, at our real-time priority.
_RING_BYTES = 12_000
_LENGTH_BYTES = 4
_BURST_MESSAGES = 400
_BURST_REST_S = 0.022  # one period of 1024 frames at 48 kHz


def _release(port: rtmidi.MidiIn | rtmidi.MidiOut, graph: Graph) -> None:
    """Close a port, unless its server has gone."""
    if graph.alive():
        port.cancel_error_callback()
        port.close_port()
        port.delete()
    else:
        abandon(port)


def _names(port: rtmidi.MidiIn | rtmidi.MidiOut) -> tuple[str, ...]:
    try:
        return tuple(port.get_ports())
    except rtmidi.RtMidiError:
        return ()


class RtMidiInput:
    """Polled, not called back: a callback needs the GIL at the driver's moment and loses messages
    when it is busy."""

    def __init__(
        self,
        name: str,
        full_name: str,
        port: rtmidi.MidiIn,
        clock: Clock,
        graph: Graph,
        cables: Cables[InputPort],
    ) -> None:
        self.name = name
        self.full_name = full_name
        self._cables = cables
        self._port = port
        self._clock = clock
        self._graph = graph
        self._times = ArrivalTimes()
        self._drained_ns = clock.now_ns()
        self._complaints = Complaints(name)
        port.ignore_types(sysex=False, timing=False, active_sense=False)
        port.set_error_callback(self._complaints)

    def poll(self) -> list[Arrival]:
        arrived = self._poll_own()
        ends = self._cables.ends
        if ends:
            arrived += (arrival for end in ends for arrival in end.poll())
            arrived.sort(key=lambda arrival: arrival[0])
        return arrived

    def connections(self) -> tuple[str, ...]:
        return self._cables.connected()

    def others(self) -> tuple[str, ...]:
        return _names(self._port)

    def connect(self, other: str) -> None:
        self._cables.connect(other)

    def close(self) -> None:
        self._cables.close()
        _release(self._port, self._graph)

    def _poll_own(self) -> list[Arrival]:
        arrived: list[Arrival] = []
        polled_ns = self._clock.now_ns()
        for _ in range(_POLL_MESSAGES):
            try:
                found = self._port.get_message()
            except rtmidi.RtMidiError as error:
                self._complaints(None, str(error))
                break
            if found is None:
                self._drained_ns = polled_ns
                break
            message, delta_s = found
            # Those that came while this loop ran were not yet there when it began.
            polled_ns = self._clock.now_ns()
            t_ns = self._times.arrival_ns(delta_s, self._drained_ns, polled_ns)
            if message and message[0] != _SYSEX:
                arrived.append((t_ns, bytes(message)))
        return arrived


class RtMidiOutput:
    """Sends at once, except that a burst rests before it would overrun the driver's ring. What a
    system that stands still would not take any more is dropped, and counts as a failure."""

    latency_ns = 0

    def __init__(
        self,
        name: str,
        full_name: str,
        port: rtmidi.MidiOut,
        graph: Graph,
        cables: Cables[OutputPort],
    ) -> None:
        self.name = name
        self.full_name = full_name
        self._cables = cables
        self._port = port
        self._graph = graph
        self._burst = 0
        self._burst_ends_s = 0.0
        self._period: int | None = None
        self._waiting_bytes = 0  # what the system has perhaps not taken yet
        self._complaints = Complaints(name)
        port.set_error_callback(self._complaints)

    @property
    def failures(self) -> int:
        """Messages that were not sent."""
        return self._complaints.count

    def send(self, message: bytes, at_ns: int | None = None) -> None:
        for end in self._cables.ends:
            end.send(message)
        self._pace()
        size = _LENGTH_BYTES + len(message)
        if self._waiting_bytes + size > _RING_BYTES:
            self._complaints(None, "the MIDI system stands still: a message is dropped")
            return
        self._waiting_bytes += size
        try:
            self._port.send_message(message)
        except (rtmidi.RtMidiError, ValueError) as error:
            self._complaints(None, str(error))

    def connections(self) -> tuple[str, ...]:
        return self._cables.connected()

    def others(self) -> tuple[str, ...]:
        return _names(self._port)

    def connect(self, other: str) -> None:
        self._cables.connect(other)

    def close(self) -> None:
        self._flush()
        self._cables.close()
        _release(self._port, self._graph)

    def _flush(self) -> None:
        """The driver hands over at its next period; closing at once would swallow the last
        words."""
        before, ends_s = self._graph.period(), time.monotonic() + _LONGEST_FLUSH_S
        time.sleep(_FLUSH_S)
        while before is not None and self._graph.period() == before and self._graph.alive():
            if time.monotonic() > ends_s:
                break
            time.sleep(_FLUSH_S)

    def _pace(self) -> None:
        now_s = time.monotonic()
        if now_s < self._burst_ends_s and self._burst < _BURST_MESSAGES:
            self._burst += 1
            return
        if now_s < self._burst_ends_s:
            time.sleep(self._burst_ends_s - now_s)
        self._burst, self._burst_ends_s = 1, time.monotonic() + _BURST_REST_S
        period = self._graph.period()
        if period is None or period != self._period:
            self._period, self._waiting_bytes = period, 0
