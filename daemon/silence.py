"""The panic sequence: how whatever still sounds is made to stop."""

from __future__ import annotations

from collections.abc import Iterable

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
