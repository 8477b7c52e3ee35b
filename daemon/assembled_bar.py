"""A bar of what was heard, with its notes, and how it is told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from rwkv_music.music import Meter

from .messages import Hear


class Voice(StrEnum):
    """Who plays."""

    PLAYER = "player"
    MODEL = "model"


@dataclass(slots=True, eq=False)
class BarNote:
    """A note in a bar: `onset` in steps from the bar line, `beat` where it was struck."""

    onset: int
    pitch: int
    velocity: int
    duration: int
    voice: Voice
    beat: float
    held: bool = False
    request: int = 0  # of our own, the completion that it is of


@dataclass(slots=True)
class AssembledBar:
    """A bar of the performance. `number` and `start_step` are the transport's."""

    serial: int
    number: int
    start_step: int
    meter: Meter
    tempo_bpm: float  # the centre of its tempo class
    notes: list[BarNote] = field(default_factory=list)
    closed: bool = False
    passed_over: bool = False  # its silence is no part of the music

    @property
    def is_silence(self) -> bool:
        """Whether it is a bar of rest that is heard as one."""
        return self.closed and not self.notes and not self.passed_over

    def count(self, voice: Voice) -> int:
        return sum(note.voice is voice for note in self.notes)


def hear(bar: AssembledBar, notes: list[BarNote]) -> Hear:
    """The message that tells a bar."""
    values = tuple((n.onset, n.pitch, n.velocity, n.duration, n.held) for n in notes)
    return Hear(bar.serial, str(bar.meter), bar.tempo_bpm, values, bar.closed)
