"""JACK through our own client: every message leaves with the frame that it is for."""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeVar

from rwkv_music.errors import PortError

from . import jack_extension
from .apis import CLIENT_NAME, REMEDIES
from .base import Arrival
from .complaints import Complaints
from .jack_graph import close

if TYPE_CHECKING:
    from ._jack import Client, Input, Output

_Own = TypeVar("_Own", "JackInput", "JackOutput")
_Raw = TypeVar("_Raw", "Input", "Output")

log = logging.getLogger(__name__)


def unavailable() -> str | None:
    """Why our client cannot be used here, or None when it can."""
    try:
        close(_client())
    except RuntimeError as error:
        return str(error)
    return None


def _client() -> Client:
    if jack_extension.module is None:
        raise RuntimeError(jack_extension.absence)
    return jack_extension.module.Client(CLIENT_NAME)


class JackSystem:
    """A client of the JACK server, or of PipeWire in its place. Raises PortError when there is
    none, or when the extension was not built."""

    api = "jack"

    def __init__(self) -> None:
        try:
            self._client = _client()
        except RuntimeError as error:
            raise PortError(f"jack: {error} ({REMEDIES['jack']})") from error
        self._numbers = count(1)  # of ports that are known by whom they are connected to
        self._closed = False

    def inputs(self) -> tuple[str, ...]:
        return tuple(self._client.sources())

    def outputs(self) -> tuple[str, ...]:
        return tuple(self._client.destinations())

    def open_input(self, name: str) -> JackInput:
        try:
            return JackInput(name, self._client.open_input(name), self._client)
        except RuntimeError as error:
            raise PortError(f"jack: cannot open {name!r}: {error}") from error

    def open_output(self, name: str) -> JackOutput:
        try:
            return JackOutput(name, self._client.open_output(name), self._client)
        except RuntimeError as error:
            raise PortError(f"jack: cannot open {name!r}: {error}") from error

    def open_input_from(self, source: str) -> JackInput:
        return self._connected(self.open_input(f"from {next(self._numbers)}"), source)

    def open_output_to(self, destination: str) -> JackOutput:
        return self._connected(self.open_output(f"to {next(self._numbers)}"), destination)

    def connect(self, source: str, destination: str) -> None:
        _connect(self._client, source, destination)

    def alive(self) -> bool:
        return self._client.alive

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._client.alive:
            log.warning("jack: the server has gone")
        close(self._client)

    @staticmethod
    def _connected(port: _Own, other: str) -> _Own:
        try:
            port.connect(other)
        except PortError as error:
            there = ", ".join(repr(full) for full in port.others()) or "none"
            port.close()
            hint = "see `rwkv-music-daemon ports`"
            raise PortError(f"{error}; there are: {there}; {hint}") from error
        return port


class _Port(Generic[_Raw]):
    def __init__(self, name: str, port: _Raw, client: Client) -> None:
        self.name = name
        self.full_name = port.full_name
        self._port: _Raw = port
        self._client = client
        self._complaints = Complaints(name)

    def connections(self) -> tuple[str, ...]:
        return tuple(self._client.peers(self.full_name))

    def close(self) -> None:
        self._port.close()


class JackInput(_Port["Input"]):
    """Arrivals have the times of the frames in which they came."""

    _lost = 0

    def poll(self) -> list[Arrival]:
        arrived = self._port.poll()
        if self._port.lost > self._lost:
            self._lost = self._port.lost
            self._complaints(None, f"{self._lost} messages came too fast and are lost")
        return arrived

    def others(self) -> tuple[str, ...]:
        return tuple(self._client.sources())

    def connect(self, other: str) -> None:
        _connect(self._client, other, self.full_name)


class JackOutput(_Port["Output"]):
    """What is sent a period before its time leaves with its frame."""

    @property
    def latency_ns(self) -> int:
        return self._client.period_ns

    @property
    def failures(self) -> int:
        """Messages that were not sent."""
        return self._complaints.count

    def send(self, message: bytes, at_ns: int | None = None) -> int | None:
        leaves_ns = self._port.send(message, at_ns)
        if leaves_ns is None:
            self._complaints(None, "the MIDI system stands still: a message is dropped")
        return leaves_ns

    def others(self) -> tuple[str, ...]:
        return tuple(self._client.destinations())

    def connect(self, other: str) -> None:
        _connect(self._client, self.full_name, other)


def _connect(client: Client, source: str, destination: str) -> None:
    try:
        client.connect(source, destination)
    except RuntimeError as error:
        raise PortError(f"jack: cannot connect {source!r} to {destination!r}: {error}") from error
