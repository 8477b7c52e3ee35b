"""The panic sequence: how whatever still sounds is made to stop."""

from __future__ import annotations

from collections.abc import Iterable

CHANNELS = range(16)
PITCHES = range(128)
_NOTE_OFF, _NOTE_ON, _CONTROL = 0x80, 0x90, 0xB0
_SUSTAIN, _ALL_SOUND_OFF, _ALL_NOTES_OFF = 64, 120, 123


def ends_sound(message: bytes) -> bool:
    """Whether that is a note-off, or one of the controllers of the panic sequence."""
    if len(message) != 3:
        return False
    kind, number, value = message[0] & 0xF0, message[1], message[2]
    if kind == _CONTROL:
        pedal_up = number == _SUSTAIN and value < 64
        return pedal_up or number in (_ALL_NOTES_OFF, _ALL_SOUND_OFF)
    return kind == _NOTE_OFF or (kind == _NOTE_ON and value == 0)


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
