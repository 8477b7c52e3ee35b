"""Datagrams to messages. The framing is checked here before python-osc sees a byte of it.

python-osc 1.10 loops for ever on a bundle element of negative size, recurses without bound on
nested bundles, and lets broken UTF-8 escape as other exceptions; a datagram that passes this check
does none of these.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pythonosc.osc_message import OscMessage, ParseError

from rwkv_music.errors import RwkvMusicError

LARGEST_DATAGRAM = 8192  # bytes
MOST_MESSAGES = 128  # in one datagram, so that a bundle cannot hold up the music
DEEPEST_BUNDLE = 8
_BUNDLE = b"#bundle\0"
_IMMEDIATELY = 1  # the time tag that means "now"
_UNIX_EPOCH_IN_NTP_S = 2_208_988_800
_ARGUMENT_BYTES = {"i": 4, "f": 4, "h": 8, "d": 8, "T": 0, "F": 0}
TYPES = "i, f, s, h, d, T and F"


class FramingError(RwkvMusicError):
    """A datagram that is no OSC, or more than is taken. `code` is what `/rwkv/error` says."""

    def __init__(self, message: str, code: int = 400, address: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.address = address


@dataclass(frozen=True, slots=True)
class Message:
    """An address and its arguments. T and F have become 1 and 0."""

    address: str
    args: tuple[int | float | str, ...] = ()


def ntp_now() -> int:
    """The time of day as an OSC time tag."""
    return (time.time_ns() << 32) // 1_000_000_000 + (_UNIX_EPOCH_IN_NTP_S << 32)


def parse(datagram: bytes, now_timetag: Callable[[], int] = ntp_now) -> list[Message]:
    """The messages of a datagram, bundles unrolled in order. Raises FramingError, and nothing else.

    Nothing of a datagram is used when any part of it is wrong. A time tag in the future is error
    406: what is to be played later is said in bars.
    """
    if len(datagram) > LARGEST_DATAGRAM:
        raise FramingError(
            f"datagram of {len(datagram)} bytes: at most {LARGEST_DATAGRAM} are taken; send several"
        )
    elements: list[bytes] = []
    for element in _elements(datagram, now_timetag, depth=0):
        elements.append(element)
        if len(elements) > MOST_MESSAGES:
            raise FramingError(f"bundle: more than {MOST_MESSAGES} messages; send several")
    for element in elements:
        _check_message(element)
    return [_read(element) for element in elements]


def _elements(packet: bytes, now_timetag: Callable[[], int], depth: int) -> Iterator[bytes]:
    """The messages of a packet, unchecked, in order."""
    if not packet.startswith(_BUNDLE):
        yield packet
        return
    if depth >= DEEPEST_BUNDLE:
        raise FramingError(f"bundle: nested more than {DEEPEST_BUNDLE} deep")
    if len(packet) < 16:
        raise FramingError("bundle: ends before its time tag")
    (timetag,) = struct.unpack_from(">Q", packet, 8)
    if timetag > _IMMEDIATELY and timetag > now_timetag():
        raise FramingError("bundle: its time tag is in the future; send it when it is due", 406)
    at = 16
    while at < len(packet):
        if at + 4 > len(packet):
            raise FramingError("bundle: ends inside the size of an element")
        (size,) = struct.unpack_from(">i", packet, at)
        at += 4
        if size <= 0 or size % 4 or at + size > len(packet):
            raise FramingError(
                f"bundle: an element of {size} bytes, where a multiple of 4 from 4 to"
                f" {len(packet) - at} can be"
            )
        yield from _elements(packet[at : at + size], now_timetag, depth + 1)
        at += size


def _check_message(packet: bytes) -> None:
    """Raises FramingError unless the packet is exactly one message of known types."""
    address, at = _string(packet, 0, "address")
    if not address.startswith("/"):
        raise FramingError(f"address: expected a / in front, got {address[:40]!r}")
    if at == len(packet):
        return  # old senders leave the type tags out when there are no arguments
    tags, at = _string(packet, at, "type tags")
    if not tags.startswith(","):
        raise FramingError(f"type tags: expected a comma in front, got {tags[:40]!r}", 400, address)
    for tag in tags[1:]:
        if tag == "s":
            _, at = _string(packet, at, "string argument")
        elif tag in _ARGUMENT_BYTES:
            at += _ARGUMENT_BYTES[tag]
        else:
            raise FramingError(f"type tag {tag!r}: only {TYPES} are taken", 400, address)
    if at != len(packet):
        raise FramingError(
            f"message: its arguments take {at} bytes, but it has {len(packet)}", 400, address
        )


def _string(packet: bytes, at: int, what: str) -> tuple[str, int]:
    """A string that starts there, and where the next item starts."""
    end = packet.find(b"\0", at)
    if end < 0:
        raise FramingError(f"{what}: not terminated")
    following = (end // 4 + 1) * 4
    if following > len(packet) or any(packet[end:following]):
        raise FramingError(f"{what}: not padded with zeros to a multiple of 4 bytes")
    try:
        return packet[at:end].decode("utf-8"), following
    except UnicodeDecodeError as error:
        raise FramingError(f"{what}: not UTF-8") from error


def _read(packet: bytes) -> Message:
    try:
        message = OscMessage(packet)
    except ParseError as error:
        raise FramingError(f"message: {error}") from error
    args = tuple(int(a) if isinstance(a, bool) else a for a in message.params)
    return Message(message.address, args)
