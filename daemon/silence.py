"""The panic sequence: how whatever still sounds is made to stop."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from rwkv_music.errors import PortError

from .clock import SystemClock
from .ports.base import MidiSystem
from .ports.rtmidi import open_system

log = logging.getLogger(__name__)

CHANNELS = range(16)
PITCHES = range(128)
_NOTE_OFF, _CONTROL = 0x80, 0xB0
_SUSTAIN, _ALL_SOUND_OFF, _ALL_NOTES_OFF = 64, 120, 123


def panic_messages(
    sounding: Iterable[tuple[int, int]] | None = (), channels: Iterable[int] = CHANNELS
) -> tuple[bytes, ...]:
    """Note-offs for the (channel, pitch) that are known to sound, then for each channel (0-15)
    sustain off, all notes off, all sound off.

    The order matters: all notes off does nothing while the pedal is down, and some instruments
    know neither of the last two. With `sounding` None, which is to say unknown, every pitch of
    these channels gets its note-off; as these are many, the controllers go before them as well.
    """
    channels = tuple(dict.fromkeys(channels))
    controllers = tuple(
        bytes((_CONTROL | channel, controller, 0))
        for controller in (_SUSTAIN, _ALL_NOTES_OFF, _ALL_SOUND_OFF)
        for channel in channels
    )
    if sounding is not None:
        return (*_note_offs(sounding), *controllers)
    everything = ((channel, pitch) for channel in channels for pitch in PITCHES)
    return (*controllers, *_note_offs(everything), *controllers)


def _note_offs(sounding: Iterable[tuple[int, int]]) -> Iterable[bytes]:
    return (bytes((_NOTE_OFF | channel, pitch, 0)) for channel, pitch in sounding)


def silence(
    api: str,
    destinations: Iterable[str],
    sounding: Iterable[tuple[int, int]] | None = None,
    channels: Iterable[int] = CHANNELS,
) -> tuple[str, ...]:
    """Send the panic sequence to others' ports of that MIDI system, by full name: for when the
    process that played to them is gone. Returns those that could not be reached, which are
    logged; never raises."""
    destinations = tuple(destinations)
    if not destinations:
        return ()
    try:
        system = open_system(api, SystemClock())
    except PortError as error:
        log.warning("cannot silence %s: %s", ", ".join(destinations), error)
        return destinations
    lost = silence_on(system, destinations, panic_messages(sounding, channels))
    system.close()
    return lost


def silence_on(
    system: MidiSystem, destinations: Iterable[str], messages: Iterable[bytes]
) -> tuple[str, ...]:
    """Send these to each destination over a port of our own; returns those not reached."""
    messages = tuple(messages)
    lost = []
    for destination in destinations:
        try:
            port = system.open_output_to(destination)
        except PortError as error:
            log.warning("cannot silence %s: %s", destination, error)
            lost.append(destination)
            continue
        for message in messages:
            port.send(message)
        port.close()
    return tuple(lost)
