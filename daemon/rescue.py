"""Ports to those who listen to io, opened before anything happens to it.

When clients of JACK die, the server lets nobody connect for a second or so, and while one is
stopped, for ever; a port that is connected already needs nobody's leave. Until the server has done
with the dead, what is sent gets lost, so it is sent again and again. All this is done by a thread,
so that the supervisor never waits for a MIDI system.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from rwkv_music.errors import PortError

from .clock import SystemClock
from .messages import Connections
from .ports.base import MidiSystem, OutputPort
from .ports.rtmidi import open_system
from .silence import panic_messages, silence

_REPEATS, _REPEAT_S = 40, 0.05
_END_S = 5.0
_NOBODY = Connections("", ())

log = logging.getLogger(__name__)


class Rescue:
    """One port for each destination of io's output; nothing is open while there is none. No
    method raises, or waits for the MIDI system, except `end`."""

    def __init__(self) -> None:
        self._system: MidiSystem | None = None  # this and the next are the thread's
        self._ports: dict[str, OutputPort] = {}
        self._connections = _NOBODY
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="rescue", daemon=True)
        self._thread.start()

    def follow(self, connections: Connections) -> None:
        """Be connected, soon, to these destinations and no others."""
        self._connections = connections
        self._tasks.put(lambda: self._follow(connections))

    def silence(self) -> None:
        """End everything that may sound at the destinations, as soon as they can hear it."""
        connections = self._connections
        self._tasks.put(lambda: self._silence(connections))

    def silence_others(self, connections: Connections) -> None:
        """The same for destinations that there is no port to."""
        self._tasks.put(lambda: _connect_and_silence(connections))

    def end(self) -> None:
        """Finish what was begun, and close the ports after what was sent has left."""
        self._tasks.put(lambda: self._follow(_NOBODY))
        self._tasks.put(None)
        self._thread.join(_END_S)

    # --- the thread ----------------------------------------------------------------------------

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except PortError as error:
                log.warning("silence after a crash may take seconds: %s", error)

    def _follow(self, connections: Connections) -> None:
        wanted = connections.destinations
        if self._system is not None and not (wanted and self._is_usable(connections.api)):
            self._close(set(self._ports))
            self._system.close()
            self._system = None
        self._close(set(self._ports) - set(wanted))
        for destination in wanted:
            if self._system is None:
                self._system = open_system(connections.api, SystemClock())
            if destination not in self._ports:
                self._ports[destination] = self._system.open_output_to(destination)

    def _is_usable(self, api: str) -> bool:
        return self._system is not None and self._system.api == api and self._system.alive()

    def _close(self, destinations: set[str]) -> None:
        for destination in destinations:
            self._ports.pop(destination).close()

    def _silence(self, connections: Connections) -> None:
        if self._ports:
            insist_on_silence(connections.api, self._send)
        missed = tuple(set(connections.destinations) - set(self._ports))
        _connect_and_silence(Connections(connections.api, missed))

    def _send(self, message: bytes) -> None:
        for port in self._ports.values():
            port.send(message)


def insist_on_silence(api: str, send: Callable[[bytes], None]) -> None:
    """Send the whole panic sequence, and where what is sent may be lost, again until it is not.
    That takes some seconds."""
    for message in panic_messages(None):
        send(message)
    if api != "jack":
        return
    for _ in range(_REPEATS):
        time.sleep(_REPEAT_S)
        for message in panic_messages():
            send(message)
    for message in panic_messages(None):
        send(message)


def _connect_and_silence(connections: Connections) -> None:
    silence(connections.api, connections.destinations)
