"""Open Sound Control, as much of it as the service speaks: i, f and s."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from .constants import TYPES

_SIZES = {"i": 4, "f": 4, "h": 8, "d": 8}
_FORMATS = {"i": ">i", "f": ">f", "h": ">q", "d": ">d"}


class Message(NamedTuple):
    """An address and its arguments."""

    address: str
    args: tuple


def encode(address: str, *args: Any) -> bytes:
    """A datagram with the arguments in the types of the table."""
    types, repeated = TYPES[address]
    if len(args) > len(types) and not repeated:
        raise ValueError(f"{address}: at most {len(types)} arguments, got {len(args)}")
    while len(types) < len(args):
        types += repeated
    tags = types[: len(args)]
    packed = [_string(address), _string("," + tags)]
    for tag, value in zip(tags, args):
        if tag == "s":
            packed.append(_string(str(value)))
        else:
            packed.append(struct.pack(_FORMATS[tag], float(value) if tag == "f" else round(value)))
    return b"".join(packed)


def decode(datagram: bytes) -> Message | None:
    """The message in a datagram; None for anything else."""
    try:
        address, at = _read_string(datagram, 0)
        tags, at = _read_string(datagram, at)
        args = []
        for tag in tags[1:]:
            if tag == "s":
                value, at = _read_string(datagram, at)
            else:
                (value,) = struct.unpack_from(_FORMATS[tag], datagram, at)
                at += _SIZES[tag]
            args.append(value)
    except (KeyError, ValueError, struct.error):
        return None
    return Message(address, tuple(args))


def _string(text: str) -> bytes:
    data = text.replace("\0", " ").encode("utf-8")
    return data + b"\0" * (4 - len(data) % 4)


def _read_string(datagram: bytes, at: int) -> tuple[str, int]:
    end = datagram.index(b"\0", at)
    return datagram[at:end].decode("utf-8"), (end // 4 + 1) * 4
