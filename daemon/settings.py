"""What a configuration key may hold: a reader takes what YAML gave, checks it and types it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rwkv_music.errors import ConfigError
from rwkv_music.music import METERS, Meter

from .midi_map import COMMANDS, EXPECTED, MidiTrigger


@dataclass(frozen=True, slots=True)
class Reader:
    """`convert` gives the value in its own type, or raises ValueError; a ConfigError of its own
    says more than that."""

    expected: str
    convert: Callable[[Any], Any]

    def __call__(self, value: object) -> Any:
        """Raises ConfigError with what was expected and what it got; the caller adds the place."""
        try:
            return self.convert(value)
        except ValueError as error:
            got = "nothing" if value is None else repr(value)
            raise ConfigError(f"expected {self.expected}, got {got}") from error


def setting(read: Reader, help: str, default: Any) -> Any:
    """A dataclass field that is a configuration key."""
    return field(default=default, metadata=about(read, help))


def about(read: Reader, help: str) -> dict[str, Any]:
    """The metadata of such a field."""
    return {"read": read, "help": help}


def text(expected: str, *, may_be_empty: bool = True) -> Reader:
    """A string; a blank in YAML is an empty one."""

    def convert(value: object) -> str:
        stripped: str = _typed("" if value is None else value, str).strip()
        if "\0" in stripped or not (stripped or may_be_empty):
            raise ValueError
        return stripped

    return Reader(expected, convert)


def choice(*choices: str) -> Reader:
    def convert(value: object) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Reader("one of " + ", ".join(choices), convert)


def whole_number(minimum: int, maximum: int) -> Reader:
    def convert(value: object) -> int:
        return int(_within(_typed(value, int), minimum, maximum))

    return Reader(f"a whole number from {minimum} to {maximum}", convert)


def number(minimum: float, maximum: float) -> Reader:
    def convert(value: object) -> float:
        return float(_within(_typed(value, (int, float)), minimum, maximum))

    return Reader(f"a number from {minimum:g} to {maximum:g}", convert)


def _typed(value: object, kind: Any) -> Any:
    """The value if it is of that kind; true and false are no numbers here."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError
    return value


def _within(value: Any, minimum: float, maximum: float) -> Any:
    if not minimum <= value <= maximum:
        raise ValueError
    return value


def _place(value: object) -> str:
    found = str(text("").convert(value))
    try:
        Path(found).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"expected a path, got {found!r}, a home that is not known") from error
    return found


def _meter(value: object) -> Meter:
    for meter in METERS:
        if value in (meter, str(meter)):
            return meter
    raise ValueError


def _host(value: object) -> str:
    return str(ipaddress.IPv4Address("127.0.0.1" if value == "localhost" else _typed(value, str)))


def _triggers(value: object) -> Mapping[str, MidiTrigger]:
    found: dict[str, MidiTrigger] = {}
    for command, message in _typed({} if value is None else value, Mapping).items():
        if command not in COMMANDS:
            raise ConfigError(f"expected commands among {', '.join(COMMANDS)}, got {command!r}")
        if message is None or message == "":
            continue
        trigger = message if isinstance(message, MidiTrigger) else _trigger(command, message)
        for other, taken in found.items():
            if trigger.overlaps(taken):
                raise ConfigError(f"{command} and {other} have the same message, {trigger}")
        found[command] = trigger
    return found


def _trigger(command: str, message: object) -> MidiTrigger:
    if not isinstance(message, str):
        raise ConfigError(f"{command}: expected {EXPECTED}, got {message!r}")
    try:
        return MidiTrigger.parse(message)
    except ConfigError as error:
        raise ConfigError(f"{command}: {error}") from error


def _names(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    found = tuple(_typed(name, str).strip() for name in _typed(listed or [], (list, tuple)))
    if not all(found) and found != ("",):
        raise ValueError  # an empty part is in every name
    return tuple(filter(None, found))


place = Reader("a path, or nothing", _place)
flag = Reader("true or false", lambda value: _typed(value, bool))
meter = Reader("one of " + ", ".join(str(m) for m in METERS), _meter)
host = Reader('an IPv4 address of this machine, such as "127.0.0.1"', _host)
names = Reader('names of ports or parts of them, such as [Launchkey, "FLUID Synth"]', _names)
triggers = Reader("a map such as {trigger: cc 64 ch 1, stop: note 21}", _triggers)
