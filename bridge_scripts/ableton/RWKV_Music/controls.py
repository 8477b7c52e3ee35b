"""Notes and controllers of a MIDI device that are commands."""

from __future__ import annotations

import re
from typing import Iterable, Iterator, NamedTuple

_SYNTAX = re.compile(r"(note|cc)\s+(\d{1,3})(?:\s+ch\s+(\d{1,2}))?")
_PRESSED = 64  # a controller from here up is down
_NOTE_ON, _NOTE_OFF, _CONTROLLER = 0x90, 0x80, 0xB0
_KINDS = {_NOTE_ON: "note", _NOTE_OFF: "note", _CONTROLLER: "cc"}


class ControlError(Exception):
    """A text that is no control; the message is for the musician."""


class Control(NamedTuple):
    """A key or a controller. kind: note or cc; channel from 0 on, None is any."""

    kind: str
    number: int
    channel: int | None

    @property
    def channels(self) -> Iterable[int]:
        return range(16) if self.channel is None else (self.channel,)


def parse(text: str) -> Control:
    """Read "cc 20 ch 16". Raises ControlError."""
    match = _SYNTAX.fullmatch(text.strip().lower())
    if match is None or int(match[2]) > 127 or not 1 <= int(match[3] or 1) <= 16:
        raise ControlError(f'expected "cc 20", "note 36" or "cc 20 ch 16", got {text!r}')
    return Control(match[1], int(match[2]), int(match[3]) - 1 if match[3] else None)


class Controls:
    """Says which command a MIDI message is. One thread."""

    def __init__(self, controls: dict[str, Control]) -> None:
        self._controls = controls
        self._down: dict[tuple, int] = {}

    def __iter__(self) -> Iterator[Control]:
        return iter(self._controls.values())

    def command(self, message: Iterable[int]) -> str | None:
        """The command that the message fires; None for a release and for other messages.

        A pedal fires once however many values it sends on its way; the same value again is
        another press of a button that tells nothing of its release.
        """
        status, number, value = (*message, 0, 0)[:3]
        kind, channel = _KINDS.get(status & 0xF0), status & 0x0F
        for name, control in self._controls.items():
            if (kind, number) == control[:2] and channel in control.channels:
                if kind == "note":
                    return name if status & 0xF0 == _NOTE_ON and value else None
                return name if self._fires((number, channel), value) else None
        return None

    def _fires(self, key: tuple, value: int) -> bool:
        if value < _PRESSED:
            self._down.pop(key, None)
            return False
        fires = self._down.get(key, value) == value
        self._down[key] = value
        return fires
