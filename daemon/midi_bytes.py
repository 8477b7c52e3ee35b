"""Which bytes are one whole MIDI message. Pure."""

from __future__ import annotations

SYSTEM = 0xF0  # status bytes from here up are clock, start, stop and the like
_CHANNEL_BYTES = {0x80: 3, 0x90: 3, 0xA0: 3, 0xB0: 3, 0xC0: 2, 0xD0: 2, 0xE0: 3}
_SYSTEM_BYTES = {0xF1: 2, 0xF2: 3, 0xF3: 2}  # the others are one byte


def is_message(data: bytes) -> bool:
    """Whether this is one message, whole and no more, other than system exclusive: programs hand
    on whatever they like."""
    if not data or data[0] < 0x80 or data[0] in (SYSTEM, 0xF7):
        return False
    status = data[0]
    size = _SYSTEM_BYTES.get(status, 1) if status >= SYSTEM else _CHANNEL_BYTES[status & 0xF0]
    return len(data) == size and max(data[1:], default=0) < 0x80
