"""Silence, as messages: what ends every note on every instrument, also with the pedal down."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from rwkv_music.errors import PortError

from .clock import SystemClock
from .ports.rtmidi import RtMidiSystem

_CHANNELS = range(16)
_PEDAL, _ALL_SOUND_OFF, _ALL_NOTES_OFF = 64, 120, 123
_SETTLE_S = 0.05  # until a new connection carries messages
_BURST = 64  # so many messages at once, then a pause: drivers' buffers are small

log = logging.getLogger(__name__)


def panic_messages(channels: Iterable[int] = _CHANNELS) -> list[bytes]:
    """Pedal up, then all notes and all sound off, on these channels (0-15). A pedal that is down
    would hold what CC123 ends."""
    return [
        bytes((0xB0 | channel, controller, 0))
        for channel in channels
        for controller in (_PEDAL, _ALL_NOTES_OFF, _ALL_SOUND_OFF)
    ]


def rescue_messages() -> list[bytes]:
    """For an instrument of which nobody knows what sounds: every note-off first."""
    offs = [bytes((0x80 | channel, pitch, 0)) for channel in _CHANNELS for pitch in range(128)]
    return panic_messages() + offs + panic_messages()


def silence(api: str, destinations: Iterable[str]) -> None:
    """Connect to each destination and end what sounds there. What fails is logged."""
    for destination in destinations:
        try:
            port = RtMidiSystem(api, SystemClock()).open_output_to(destination)
        except PortError as error:
            log.error("cannot silence %s: %s", destination, error)
            continue
        time.sleep(_SETTLE_S)
        for number, message in enumerate(rescue_messages()):
            port.send(message)
            if number % _BURST == _BURST - 1:
                time.sleep(0.005)
        port.close()
