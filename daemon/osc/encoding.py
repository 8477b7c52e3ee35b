"""Our own messages to datagrams, in the types that the table promises."""

from __future__ import annotations

import math

from pythonosc.osc_message_builder import OscMessageBuilder

from rwkv_music.errors import RwkvMusicError

from .announcements import SENT
from .arguments import LARGEST_INT, Arg

LONGEST_TEXT = 1024  # bytes of one string, so that a datagram stays below what receivers take
_LARGEST_FLOAT = (2 - 2**-23) * 2.0**127  # of 32 bits
Value = int | float | str


class EncodingError(RwkvMusicError):
    """A value that is none in OSC's types of 32 bits and text."""


def encode(address: str, *args: Value) -> bytes:
    """A datagram with the arguments in the types of the table.

    Raises ValueError for an address or arguments that the table does not have: a mistake of ours.
    """
    spec = SENT.get(address)
    if spec is None:
        raise ValueError(f"{address}: not in the table of replies and events")
    extra = len(args) - len(spec.args)
    if extra < 0 or (extra and not spec.repeated) or (extra and extra % len(spec.repeated)):
        raise ValueError(f"{address}: {len(args)} arguments do not fit the table")
    builder = OscMessageBuilder(address)
    for arg, value in zip(spec.args + spec.repeated * extra, args, strict=False):
        kind, fitted = _fit(arg, value)
        builder.add_arg(fitted, kind)
    return bytes(builder.build().dgram)


def encode_any(address: str, *args: Value) -> bytes:
    """A datagram with each argument in its Python type: what a client sends. Raises EncodingError
    for what does not fit into that."""
    _check(address)
    builder = OscMessageBuilder(address)
    for value in args:
        _check(value)
        builder.add_arg(value, _kind_of(value))
    return bytes(builder.build().dgram)


def _check(value: Value) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise EncodingError(f"{value!r}: expected text in UTF-8") from error
    elif isinstance(value, int):
        if not -LARGEST_INT - 1 <= value <= LARGEST_INT:
            raise EncodingError(
                f"{value}: expected a whole number from {-LARGEST_INT - 1} to {LARGEST_INT}"
            )
    elif math.isfinite(value) and abs(value) > _LARGEST_FLOAT:
        raise EncodingError(
            f"{value:g}: expected a number from {-_LARGEST_FLOAT:g} to {_LARGEST_FLOAT:g}"
        )


def _fit(arg: Arg, value: Value) -> tuple[str, Value]:
    kind = _kind_of(value) if arg.type == "v" else arg.type
    if kind == "s" and isinstance(value, str):
        return kind, _shortened(value)
    if kind == "f" and isinstance(value, int | float):
        return kind, min(max(float(value), -_LARGEST_FLOAT), _LARGEST_FLOAT)
    if kind == "i" and isinstance(value, int):
        return kind, min(max(int(value), -LARGEST_INT - 1), LARGEST_INT)
    raise ValueError(f"{arg.name}: {value!r} is not of type {arg.type}")


def _kind_of(value: Value) -> str:
    if isinstance(value, str):
        return "s"
    return "i" if isinstance(value, int) else "f"


def _shortened(text: str) -> str:
    """At most LONGEST_TEXT bytes, cut between characters; OSC strings end at a NUL."""
    data = text.replace("\0", " ").encode("utf-8", "replace")
    if len(data) <= LONGEST_TEXT:
        return data.decode("utf-8")
    return data[: LONGEST_TEXT - 3].decode("utf-8", "ignore") + "…"
