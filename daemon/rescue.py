"""Ends what a dead io process has left sounding, wherever it was heard.

This may wait for the MIDI system, so a thread does it and the supervisor does not: when clients
of JACK die, the server lets nobody connect for up to a second, and while one is stopped, for
ever. What is sent before the server has done with the dead gets lost, so it is sent again and
again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rwkv_music.errors import PortError

from .clock import SystemClock
from .messages import Connections
from .ports.base import OutputPort
from .ports.systems import open_system
from .silence import panic_messages

_REPEATS, _REPEAT_S = 40, 0.05
_END_S = 8.0

log = logging.getLogger(__name__)


class Rescue:
    """No method but `end` waits; none raises."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def silence(self, connections: Connections) -> None:
        """End everything that may sound at these destinations, as soon as they can hear it."""
        if connections.destinations:
            thread = threading.Thread(target=_silence, args=(connections,), name="rescue")
            thread.daemon = True
            thread.start()
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]

    def end(self) -> None:
        """Finish what was begun, if the MIDI system lets us."""
        ends_s = time.monotonic() + _END_S
        for thread in self._threads:
            thread.join(max(0.0, ends_s - time.monotonic()))


def _silence(connections: Connections) -> None:
    """Connect to all of them, and insist. Those that cannot be reached are logged."""
    ports: list[OutputPort] = []
    try:
        system = open_system(connections.api, SystemClock())
    except PortError as error:
        log.warning("cannot silence %s: %s", ", ".join(connections.destinations), error)
        return
    for destination in connections.destinations:
        try:
            ports.append(system.open_output_to(destination))
        except PortError as error:
            log.warning("cannot silence %s: %s", destination, error)

    def send(message: bytes) -> None:
        for port in ports:
            port.send(message)

    if ports:
        insist_on_silence(system.api, send)
    for port in ports:
        port.close()
    system.close()


def insist_on_silence(api: str, send: Callable[[bytes], object]) -> None:
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
