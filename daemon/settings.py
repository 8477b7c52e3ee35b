"""What a configuration key may hold: each reader takes what YAML gave and checks it.

A reader raises ConfigError with what was expected and what it got; whoever calls it adds the place.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from rwkv_music.errors import ConfigError, TokenError
from rwkv_music.music import Meter

from .midi_map import COMMANDS, MidiTrigger

Reader = Callable[[object], Any]


def setting(default: Any, read: Reader, help: str) -> Any:
    """A dataclass field that is a configuration key."""
    return field(default=default, metadata={"read": read, "help": help})


def refused(expected: str, value: object) -> ConfigError:
    got = "nothing" if value is None else repr(value)
    return ConfigError(f"expected {expected}, got {got}")


def text(expected: str, *, may_be_empty: bool = True) -> Reader:
    """A string; a blank in YAML is an empty one."""

    def read(value: object) -> str:
        value = "" if value is None else value
        if not isinstance(value, str) or "\0" in value or not (value.strip() or may_be_empty):
            raise refused(expected, value)
        return value.strip()

    return read


def choice(*choices: str) -> Reader:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise refused("one of " + ", ".join(choices), value)
        return value

    return read


def whole_number(minimum: int, maximum: int) -> Reader:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise refused(f"a whole number from {minimum} to {maximum}", value)
        return value

    return read


def number(minimum: float, maximum: float) -> Reader:
    def read(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or math.isnan(value)
            or not minimum <= value <= maximum
        ):
            raise refused(f"a number from {minimum:g} to {maximum:g}", value)
        return float(value)

    return read


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise refused("true or false", value)
    return value


def meter(value: object) -> Meter:
    if isinstance(value, Meter):
        return value
    if not isinstance(value, str):
        raise refused('a meter such as "4/4"', value)
    try:
        return Meter.parse(value)
    except TokenError as error:
        raise ConfigError(str(error)) from error


def host(value: object) -> str:
    """An IPv4 address of this machine, or localhost."""
    expected = 'an IPv4 address such as "127.0.0.1"'
    if value == "localhost":
        return "127.0.0.1"
    if not isinstance(value, str):
        raise refused(expected, value)
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError as error:
        raise refused(expected, value) from error


def triggers(value: object) -> Mapping[str, MidiTrigger]:
    """A map from commands to messages; a blank message is no trigger."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise refused("a map such as {trigger: cc 64 ch 1}", value)
    found: dict[str, MidiTrigger] = {}
    for command, message in value.items():
        if command not in COMMANDS:
            raise ConfigError(f"expected commands among {', '.join(COMMANDS)}, got {command!r}")
        if message is None or message == "":
            continue
        trigger = message if isinstance(message, MidiTrigger) else _trigger(command, message)
        for other, taken in found.items():
            if _overlap(trigger, taken):
                raise ConfigError(f"{command} and {other} have the same message, {trigger}")
        found[command] = trigger
    return found


def _trigger(command: str, message: object) -> MidiTrigger:
    if not isinstance(message, str):
        raise ConfigError(f"{command}: {refused('a message such as cc 64 ch 1', message)}")
    try:
        return MidiTrigger.parse(message)
    except ConfigError as error:
        raise ConfigError(f"{command}: {error}") from error


def _overlap(one: MidiTrigger, two: MidiTrigger) -> bool:
    same_channel = one.channel == two.channel or 0 in (one.channel, two.channel)
    return (one.kind, one.number) == (two.kind, two.number) and same_channel
