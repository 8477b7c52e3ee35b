"""The machine's MIDI systems, through python-rtmidi."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rtmidi

from rwkv_music.errors import PortError

from ..clock import Clock
from .alsa_sequencer import AlsaGraph
from .apis import CLIENT_NAME, NO_VIRTUAL_PORTS, REMEDIES
from .cables import Cables, OwnCables, SystemCables
from .graph import Graph, NoGraph
from .jack_graph import JackGraph, no_server
from .rtmidi_ports import RtMidiInput, RtMidiOutput

_QUEUE_MESSAGES = 8192  # that may wait until we poll; the driver drops the others
_NUMBERS = {
    "alsa": rtmidi.API_LINUX_ALSA,
    "jack": rtmidi.API_UNIX_JACK,
    "coremidi": rtmidi.API_MACOSX_CORE,
    "winmm": rtmidi.API_WINDOWS_MM,
}
_NO_CABLES: Cables[Any] = SystemCables(NoGraph(), "", plays=False)
_GRAPHS: dict[str, type[AlsaGraph] | type[JackGraph]] = {"alsa": AlsaGraph, "jack": JackGraph}


class RtMidiSystem:
    """One of the machine's MIDI systems. Raises PortError when it cannot be reached."""

    def __init__(self, api: str, clock: Clock) -> None:
        self.api = api
        self._api = _NUMBERS[api]
        self._clock = clock
        reason = unavailable(api)
        if reason is not None:
            raise PortError(f"{api}: {reason} ({REMEDIES[api]})")
        self._graph: Graph = _GRAPHS.get(api, NoGraph)()

    def inputs(self) -> tuple[str, ...]:
        return tuple(_full_names(rtmidi.MidiIn, self._api))

    def outputs(self) -> tuple[str, ...]:
        return tuple(_full_names(rtmidi.MidiOut, self._api))

    def open_input(self, name: str) -> RtMidiInput:
        before = set(self.outputs())
        port = self._client(rtmidi.MidiIn, queue_size_limit=_QUEUE_MESSAGES)
        full_name = self._open(port, name) or _new(name, before, self.outputs())
        cables = self._cables(full_name, self.open_input_from, self.inputs, plays=False)
        return RtMidiInput(name, full_name, port, self._clock, self._graph, cables)

    def open_output(self, name: str) -> RtMidiOutput:
        before = set(self.inputs())
        port = self._client(rtmidi.MidiOut)
        full_name = self._open(port, name) or _new(name, before, self.inputs())
        cables = self._cables(full_name, self.open_output_to, self.outputs, plays=True)
        return RtMidiOutput(name, full_name, port, self._graph, cables)

    def open_input_from(self, source: str) -> RtMidiInput:
        port = self._open_existing(rtmidi.MidiIn, source)
        return RtMidiInput(source, "", port, self._clock, self._graph, _NO_CABLES)

    def open_output_to(self, destination: str) -> RtMidiOutput:
        port = self._open_existing(rtmidi.MidiOut, destination)
        return RtMidiOutput(destination, "", port, self._graph, _NO_CABLES)

    def connect(self, source: str, destination: str) -> None:
        self._graph.connect(source, destination)

    def alive(self) -> bool:
        return self._graph.alive()

    def close(self) -> None:
        """Let go of what watches the connections; the ports are closed on their own."""
        self._graph.close()

    def _cables(
        self,
        full_name: str,
        open_end: Callable[[str], Any],
        there: Callable[[], tuple[str, ...]],
        *,
        plays: bool,
    ) -> Cables[Any]:
        if self.api in _GRAPHS:
            return SystemCables(self._graph, full_name, plays=plays)
        taken = (full_name,) if self.api in NO_VIRTUAL_PORTS else ()
        return OwnCables(open_end, there, taken)

    def _client(
        self, kind: type[rtmidi.MidiIn] | type[rtmidi.MidiOut], **options: int
    ) -> rtmidi.MidiIn:
        try:
            return kind(rtapi=self._api, name=CLIENT_NAME, **options)
        except rtmidi.RtMidiError as error:
            raise PortError(
                f"{self.api}: cannot be reached any more ({error}); {REMEDIES[self.api]}"
            ) from error

    def _open_existing(
        self, kind: type[rtmidi.MidiIn] | type[rtmidi.MidiOut], full_name: str
    ) -> rtmidi.MidiIn:
        port = self._client(kind)
        try:
            names = port.get_ports()
            if full_name not in names:
                raise PortError(_no_such_port(self.api, full_name, names))
            port.open_port(names.index(full_name), CLIENT_NAME)
        except (rtmidi.RtMidiError, PortError) as error:
            port.delete()
            if isinstance(error, PortError):
                raise
            raise PortError(f"{self.api}: cannot connect to {full_name!r}: {error}") from error
        return port

    def _open(self, port: rtmidi.MidiIn, name: str) -> str:
        """The full name of the existing port that was opened; empty for one of our own."""
        try:
            if self.api in NO_VIRTUAL_PORTS:
                names = port.get_ports()
                index = index_of(name, names, self.api)
                port.open_port(index)
                return str(names[index])
            port.open_virtual_port(name)
            return ""
        except (rtmidi.RtMidiError, PortError) as error:
            port.delete()
            if isinstance(error, PortError):
                raise
            raise PortError(f"{self.api}: cannot open {name!r}: {error}") from error


def index_of(name: str, names: list[str], api: str) -> int:
    """Which of the full names is meant: equal, else beginning with it (Windows adds a number),
    else holding it. Raises PortError."""
    for fits in (
        lambda full: full == name,
        lambda full: full.startswith(name),
        lambda full: name in full,
    ):
        for index, full in enumerate(names):
            if fits(full):
                return index
    raise PortError(_no_such_port(api, name, names))


def unavailable(api: str) -> str | None:
    """Why that API cannot be used here, or None when it can."""
    if _NUMBERS[api] not in rtmidi.get_compiled_api():
        return f"python-rtmidi is built without it on {sys.platform}"
    if api == "alsa" and not Path("/dev/snd/seq").exists():
        return "there is no /dev/snd/seq"
    if api == "jack" and no_server():
        return "no JACK server answers"
    try:
        rtmidi.MidiOut(rtapi=_NUMBERS[api], name=CLIENT_NAME).delete()
    except rtmidi.RtMidiError as error:
        return str(error)
    return None


def _full_names(kind: type[rtmidi.MidiIn] | type[rtmidi.MidiOut], api: int) -> list[str]:
    try:
        client = kind(rtapi=api, name=CLIENT_NAME)
    except rtmidi.RtMidiError:
        return []  # the server has gone: nothing is there
    try:
        names: list[str] = client.get_ports()
        return names
    finally:
        client.delete()


def _new(name: str, before: set[str], now: tuple[str, ...]) -> str:
    """The full name of the port of ours that has just been made; empty when nobody sees it. An
    output of ours is an input to the others."""
    return next((full for full in now if full not in before and name in full), "")


def _no_such_port(api: str, name: str, names: list[str]) -> str:
    there = ", ".join(repr(full) for full in names) or "none"
    hint = (
        "create it with loopMIDI (https://www.tobias-erichsen.de/software/loopmidi.html), or set "
        "midi.input and midi.output to one of these"
        if api in NO_VIRTUAL_PORTS
        else "see `rwkv-music-daemon ports`"
    )
    return f"{api}: no port {name!r}; there are: {there}; {hint}"
