"""What the daemon asks of a MIDI system, whatever the machine has."""

from __future__ import annotations

from typing import Protocol

INPUT_NAME = "RWKV Music In"
OUTPUT_NAME = "RWKV Music Out"

Arrival = tuple[int, bytes]  # (arrival in clock nanoseconds, one raw MIDI message)


class InputPort(Protocol):
    """A port that others send to. Used by one thread."""

    @property
    def name(self) -> str:
        """The short name it was opened by."""
        ...

    def poll(self) -> list[Arrival]:
        """What has arrived since the last poll, in order. Never blocks, never raises."""
        ...

    def close(self) -> None: ...


class OutputPort(Protocol):
    """A port that others listen to. Used by one thread."""

    @property
    def name(self) -> str:
        """The short name it was opened by."""
        ...

    @property
    def latency_ns(self) -> int:
        """What is sent so long before its time, or longer, leaves at it; 0 where the system knows
        no times and everything leaves at once."""
        ...

    def send(self, message: bytes, at_ns: int | None = None) -> int | None:
        """Hand one message over, to leave at a time where the system knows any, else now; when it
        leaves, if that is known (where the system knows times, None is a refusal). Of one pitch,
        and of one channel otherwise, what is sent later leaves later; but what ends a note now that
        has not begun takes it away. Never raises: what the system refuses is logged."""
        ...

    def connections(self) -> tuple[str, ...]:
        """Full names of those who listen, as far as the system tells."""
        ...

    def close(self) -> None:
        """Close after everything sent has left."""
        ...


class Connectable(Protocol):
    """A port of our own, which can be connected to those of others."""

    @property
    def name(self) -> str:
        """The short name it was opened by."""
        ...

    @property
    def full_name(self) -> str:
        """What the others see; empty when that could not be found out."""
        ...

    def connections(self) -> tuple[str, ...]:
        """Full names of those it is connected to, as far as the system tells."""
        ...

    def others(self) -> tuple[str, ...]:
        """Full names of those it could be connected to."""
        ...

    def connect(self, other: str) -> None:
        """Hear one of those from now on, or play to it. May wait for the system; any thread.
        Raises PortError."""
        ...


class OwnInput(InputPort, Connectable, Protocol):
    """What others play to."""


class OwnOutput(OutputPort, Connectable, Protocol):
    """What others hear."""


class MidiSystem(Protocol):
    """One MIDI system of the machine: ALSA, JACK, CoreMIDI, Windows, or the fake."""

    @property
    def api(self) -> str:
        """alsa, jack, coremidi, winmm or memory."""
        ...

    def inputs(self) -> tuple[str, ...]:
        """Full names of the ports that can be listened to."""
        ...

    def outputs(self) -> tuple[str, ...]:
        """Full names of the ports that can be played to."""
        ...

    def open_input(self, name: str) -> OwnInput:
        """A port of our own by that name, or an existing one where the system has no virtual
        ports. Raises PortError."""
        ...

    def open_output(self, name: str) -> OwnOutput:
        """As `open_input`. Raises PortError."""
        ...

    def open_input_from(self, source: str) -> InputPort:
        """An unnamed input that hears an existing port, by full name. Raises PortError."""
        ...

    def open_output_to(self, destination: str) -> OutputPort:
        """An unnamed output that plays to an existing port, by full name. Raises PortError."""
        ...

    def connect(self, source: str, destination: str) -> None:
        """Connect two existing ports by full name; already connected is fine. Raises PortError."""
        ...

    def alive(self) -> bool:
        """Whether the system still answers; ports of one that does not are lost."""
        ...

    def close(self) -> None:
        """Let go of what is not a port; those are closed on their own."""
        ...
