"""The fake MIDI system, shipped: ports in memory, for tests and for the demo."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from rwkv_music.errors import PortError

from ..clock import Clock
from .base import Arrival


class MemoryInput:
    """An input fed by `push`; a message arrives when the clock has reached its time."""

    def __init__(
        self, name: str, clock: Clock, others: Callable[[], tuple[str, ...]] = tuple
    ) -> None:
        self.name = self.full_name = name
        self.closed = False
        self.sources: list[str] = []
        self.others = others
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[Arrival] = deque()

    def push(self, message: bytes, t_ns: int | None = None) -> None:
        """Let a message arrive at `t_ns`, or now. Times must not go back. Any thread."""
        with self._lock:
            self._waiting.append((self._clock.now_ns() if t_ns is None else t_ns, bytes(message)))

    def poll(self) -> list[Arrival]:
        now_ns = self._clock.now_ns()
        arrived: list[Arrival] = []
        with self._lock:
            while self._waiting and self._waiting[0][0] <= now_ns:
                arrived.append(self._waiting.popleft())
        return arrived

    def connections(self) -> tuple[str, ...]:
        return tuple(self.sources)

    def connect(self, other: str) -> None:
        _connect(self.name, other, self.others(), self.sources)

    def close(self) -> None:
        self.closed = True


class MemoryOutput:
    """An output that remembers what was sent, and when."""

    latency_ns = 0

    def __init__(
        self, name: str, clock: Clock, others: Callable[[], tuple[str, ...]] = tuple
    ) -> None:
        self.name = self.full_name = name
        self.closed = False
        self.sent: list[Arrival] = []
        self.listeners: list[str] = []
        self.others = others
        self._clock = clock

    def send(self, message: bytes, at_ns: int | None = None) -> None:
        self.sent.append((self._clock.now_ns(), bytes(message)))

    def connections(self) -> tuple[str, ...]:
        return tuple(self.listeners)

    def connect(self, other: str) -> None:
        _connect(self.name, other, self.others(), self.listeners)

    def close(self) -> None:
        self.closed = True


class MemorySystem:
    """Named ports in memory. `opened_inputs` and `opened_outputs` are the test's side."""

    api = "memory"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.opened_inputs: dict[str, MemoryInput] = {}
        self.opened_outputs: dict[str, MemoryOutput] = {}
        self.sources: dict[str, MemoryInput] = {}  # others' ports, by full name
        self.destinations: dict[str, MemoryOutput] = {}  # the same

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def inputs(self) -> tuple[str, ...]:
        return (*self.opened_outputs, *self.sources)

    def outputs(self) -> tuple[str, ...]:
        return (*self.opened_inputs, *self.destinations)

    def add_destination(self, name: str) -> MemoryOutput:
        """A synthesizer, say: what is played to it is in its `sent`."""
        return self.destinations.setdefault(name, MemoryOutput(name, self._clock))

    def open_input(self, name: str) -> MemoryInput:
        held = self.opened_inputs.get(name)
        if held is None or held.closed:
            held = self.opened_inputs[name] = MemoryInput(name, self._clock, self.inputs)
        return held

    def open_output(self, name: str) -> MemoryOutput:
        held = self.opened_outputs.get(name)
        if held is None or held.closed:
            held = self.opened_outputs[name] = MemoryOutput(name, self._clock, self.outputs)
        return held

    def add_source(self, name: str) -> MemoryInput:
        """A keyboard, say: what is pushed into it is heard."""
        return self.sources.setdefault(name, MemoryInput(name, self._clock))

    def open_input_from(self, source: str) -> MemoryInput:
        if source not in self.sources:
            raise PortError(f"memory: no port {source!r}; there are {self.inputs()}")
        return self.sources[source]

    def open_output_to(self, destination: str) -> MemoryOutput:
        if destination not in self.destinations:
            raise PortError(f"memory: no port {destination!r}; there are {self.outputs()}")
        return self.destinations[destination]

    def connect(self, source: str, destination: str) -> None:
        if source not in self.opened_outputs:
            raise PortError(f"memory: no port {source!r}; there are {self.inputs()}")
        self.opened_outputs[source].connect(destination)


def _connect(name: str, other: str, others: tuple[str, ...], connected: list[str]) -> None:
    if other not in others:
        raise PortError(f"memory: {name}: no port {other!r}; there are {others}")
    if other not in connected:
        connected.append(other)
