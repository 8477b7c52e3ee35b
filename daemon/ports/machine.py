"""The service's ports on the machine's MIDI system, which may go away and come back."""

from __future__ import annotations

import logging

from rwkv_music.errors import PortError
from rwkv_music.timebase import NS_PER_S

from ..clock import Clock
from ..config_sections import MidiConfig
from .base import Arrival, MidiSystem, OwnInput, OwnOutput
from .patchbay import Patchbay
from .systems import open_system

_RETRY_NS = NS_PER_S
_SYSTEM_MESSAGES = 0xF0  # status bytes from here up are clock, start, stop and the like

log = logging.getLogger(__name__)


class MachinePorts:
    """Input, clock input and output as one: an InputPort and an OutputPort.

    The constructor raises PortError. When the MIDI system goes later, what is sent is lost, as
    nobody could hear it, and `look` opens the ports again when the system is back. It also makes
    the connections that are configured, and those that were there until something went away.
    `poll`, `look` and `connections` are for one thread; `send` may be called by another.
    """

    def __init__(self, config: MidiConfig, clock: Clock) -> None:
        self.name = config.input
        self._config = config
        self._clock = clock
        self._system: MidiSystem
        self._input: OwnInput | None = None
        self._clock_input: OwnInput | None = None
        self._output: OwnOutput | None = None
        self._next_try_ns = 0
        self.patchbay = Patchbay(config.connect_from, config.connect_to)
        self._open()

    @property
    def api(self) -> str:
        """The MIDI system that is used."""
        return self._system.api

    def poll(self) -> list[Arrival]:
        if self._input is None:
            return []
        arrivals = self._input.poll()
        if self._clock_input is not None:
            music = [arrival for arrival in arrivals if arrival[1][0] < _SYSTEM_MESSAGES]
            clock = [a for a in self._clock_input.poll() if a[1][0] >= _SYSTEM_MESSAGES]
            arrivals = sorted(music + clock, key=lambda arrival: arrival[0])
        return arrivals

    @property
    def latency_ns(self) -> int:
        output = self._output
        return 0 if output is None else output.latency_ns

    def send(self, message: bytes, at_ns: int | None = None) -> int | None:
        output = self._output
        return None if output is None else output.send(message, at_ns)

    def connections(self) -> tuple[str, ...]:
        return () if self._output is None else self._output.connections()

    def look(self, now_ns: int) -> bool:
        """Notice that the system has gone, or try to reach it again; true when it has just gone."""
        if self._output is not None:
            if self._system.alive():
                self.patchbay.look()
                return False
            log.error("%s has gone: waiting for it to come back", self._system.api)
            self.close()
            return True
        if now_ns >= self._next_try_ns:
            self._next_try_ns = now_ns + _RETRY_NS
            try:
                self._open()
            except PortError as error:
                log.debug("not yet: %s", error)
            else:
                log.warning("%s is back: the ports are open again", self._system.api)
        return False

    def close(self) -> None:
        self.patchbay.end()
        for port in (self._input, self._clock_input, self._output):
            if port is not None:
                port.close()
        self._input = self._clock_input = self._output = None
        self._system.close()

    def _open(self) -> None:
        self._system = open_system(self._config.api, self._clock)
        try:
            # The output first: where each port is a client of its own (python-rtmidi), JACK drops
            # those that die together in the order in which they came, and who listens to the output
            # hears nobody until that is dropped. (JackGraph's own client is the last to come.)
            self._output = self._system.open_output(self._config.output)
            self._input = self._system.open_input(self._config.input)
            if self._config.clock_input not in ("", self._config.input):
                self._clock_input = self._system.open_input(self._config.clock_input)
            self.patchbay.begin(self._input, self._clock_input, self._output, self._system.alive)
        except PortError:
            self.close()
            raise
