"""MIDI messages that are commands: pedals, keys and program changes of the player's.

A trigger is written `cc 64 ch 1`, `note 36` or `program 5`: what it is, its number, and the
channel (1-16) if it is bound to one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rwkv_music.errors import ConfigError

# Command -> the OSC request that it stands for; `/rwkv/learn` takes the same names.
COMMANDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "trigger": ("/rwkv/trigger", ()),
    "toggle": ("/rwkv/toggle", ()),
    "stop": ("/rwkv/stop", ()),
    "panic": ("/rwkv/panic", ()),
    "regenerate": ("/rwkv/regenerate", ()),
    "take_next": ("/rwkv/take/next", ()),
    "undo": ("/rwkv/undo", ()),
    "reset": ("/rwkv/reset", ()),
    "mode_manual": ("/rwkv/mode", ("manual",)),
    "mode_trade": ("/rwkv/mode", ("trade",)),
    "mode_auto": ("/rwkv/mode", ("auto",)),
}
_STATUS = {"note": 0x90, "cc": 0xB0, "program": 0xC0}
_SYNTAX = re.compile(r"(note|cc|program)\s+(\d{1,3})(?:\s+ch\s+(\d{1,2}))?", re.ASCII)
_PRESSED = 64  # a controller from here up is a pedal that is down
EXPECTED = '"cc 64", "note 36" or "program 5", with " ch 1" behind it for one channel only'


@dataclass(frozen=True, slots=True)
class MidiTrigger:
    """A message to look for. kind: note, cc or program; channel 0 is any."""

    kind: str
    number: int
    channel: int = 0

    @classmethod
    def parse(cls, text: str) -> MidiTrigger:
        """Read "cc 64 ch 1". Raises ConfigError."""
        match = _SYNTAX.fullmatch(text.strip().lower())
        if match is None:
            raise ConfigError(f"expected {EXPECTED}, got {text!r}")
        kind, number, channel = match[1], int(match[2]), match[3]
        if number > 127:
            raise ConfigError(f"expected a number from 0 to 127, got {number} in {text!r}")
        if channel is not None and not 1 <= int(channel) <= 16:
            raise ConfigError(f"expected a channel from 1 to 16, got {channel} in {text!r}")
        return cls(kind, number, int(channel or 0))

    @classmethod
    def learned(cls, message: bytes) -> MidiTrigger | None:
        """The trigger that this message is, on its channel; None for a release or another kind."""
        for kind in _STATUS:
            if _is_kind(kind, message):
                trigger = cls(kind, message[1], (message[0] & 0x0F) + 1)
                return trigger if trigger.is_pressed(message) else None
        return None

    def matches(self, message: bytes) -> bool:
        """Whether the message is this key, controller or program: its press or its release."""
        return (
            _is_kind(self.kind, message)
            and message[1] == self.number
            and self.channel in (0, (message[0] & 0x0F) + 1)
        )

    def is_pressed(self, message: bytes) -> bool:
        """Whether a message that matches is the press."""
        if self.kind == "program":
            return True
        if self.kind == "note":
            return message[0] & 0xF0 == 0x90 and message[2] > 0
        return message[2] >= _PRESSED

    def overlaps(self, other: MidiTrigger) -> bool:
        """Whether some message matches both."""
        same_channel = self.channel == other.channel or 0 in (self.channel, other.channel)
        return (self.kind, self.number) == (other.kind, other.number) and same_channel

    def __str__(self) -> str:
        channel = f" ch {self.channel}" if self.channel else ""
        return f"{self.kind} {self.number}{channel}"


def _is_kind(kind: str, message: bytes) -> bool:
    if len(message) != (2 if kind == "program" else 3):
        return False
    status = message[0] & 0xF0
    return status == _STATUS[kind] or (kind == "note" and status == 0x80)


class MidiMap:
    """Which messages are commands. One thread.

    A continuous pedal fires once for each press, however many values it sends on its way down; the
    same value again is another press of a button that tells nothing of its release.
    """

    def __init__(self, triggers: Mapping[str, MidiTrigger]) -> None:
        self.triggers = dict(triggers)  # as it is now
        self._down: dict[tuple[str, int], int] = {}  # command, channel -> last value

    def bind(self, command: str, trigger: MidiTrigger) -> None:
        """Make `trigger` the message of `command`, and of no other."""
        self.triggers = {c: t for c, t in self.triggers.items() if not t.overlaps(trigger)}
        self.triggers[command] = trigger

    def feed(self, message: bytes) -> tuple[bool, str | None]:
        """Whether the message is consumed, and the command that it fires, if any."""
        for command, trigger in self.triggers.items():
            if trigger.matches(message):
                return True, command if self._fires(command, trigger, message) else None
        return False, None

    def _fires(self, command: str, trigger: MidiTrigger, message: bytes) -> bool:
        if trigger.kind != "cc":
            return trigger.is_pressed(message)
        key, value = (command, message[0] & 0x0F), message[2]
        if not trigger.is_pressed(message):
            self._down.pop(key, None)
            return False
        fires = self._down.get(key, value) == value
        self._down[key] = value
        return fires
