"""MIDI system messages to what they tell a transport."""

from __future__ import annotations

from .transport import Transport


def take_midi(transport: Transport, t_ns: int, message: bytes) -> None:
    """Tell the transport what a system message says; others are nobody's business here."""
    match message[0]:
        case 0xF8:
            transport.midi_tick(t_ns)
        case 0xFA:
            transport.midi_start(t_ns)
        case 0xFB:
            transport.midi_continue(t_ns)
        case 0xFC:
            transport.midi_stop(t_ns)
        case 0xF2 if len(message) == 3:
            transport.midi_song_position(message[1] | message[2] << 7, t_ns)
