"""A few voices of music as text, played the way a careful pianist would: for prompts.

A voice is bars with `|` between them; a bar is items with spaces between them. An item is a pitch
(`C4` is middle C, `F#3`, `Bb3`), several at once (`C3+E3+G3`), a rest (`r`), or `~`, which holds
what sounds before it, across a bar line too. `:3/2` behind it is its length in beats (quarter
notes); without one it is as long as the item before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import pi, sin

from rwkv_music.music import STEPS_PER_BEAT, Bar, Meter, Note, Phrase, canonical

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ITEM = re.compile(r"(?P<what>[^:]+)(:(?P<beats>\d+(/\d+)?))?")
_PITCH = re.compile(r"(?P<letter>[A-G])(?P<sign>[#b]?)(?P<octave>-?\d)")
_ARCH_BARS = 4  # a phrase swells to its middle and falls
_SWELL, _DOWNBEAT, _BEAT = 9, 7, 3  # in velocity


@dataclass(frozen=True, slots=True)
class Voice:
    """Bars as text, and how loud they are played (1-127)."""

    text: str
    velocity: int


@dataclass(slots=True)
class _Sounding:
    bar: int
    onset: int
    pitches: list[int]
    steps: int


def played(voices: tuple[Voice, ...], meter: Meter, tempo_bpm: float) -> Phrase:
    """The voices together, on one piano. Raises ValueError that names the bar for what is no
    item, for a length off the grid, a bar that is not full, and voices of different lengths."""
    read = [_read(voice.text, meter) for voice in voices]
    bars = {len(voice.text.split("|")) for voice in voices}
    if len(bars) != 1:
        raise ValueError(f"voices of {sorted(bars)} bars; expected all to be as long")
    notes: list[list[Note]] = [[] for _ in range(bars.pop())]
    for voice, items in zip(voices, read, strict=True):
        for item in items:
            velocity = voice.velocity + _emphasis(item.bar, item.onset, meter)
            for pitch in item.pitches:
                # A little before the next one, as a finger leaves a key.
                steps = item.steps - (1 if item.steps > 4 else 0)
                notes[item.bar].append(Note(item.onset, pitch, velocity, steps))
    return tuple(Bar(meter, tempo_bpm, canonical(bar)) for bar in notes)


def _emphasis(bar: int, onset: int, meter: Meter) -> int:
    place = (bar % _ARCH_BARS + onset / meter.steps) / _ARCH_BARS
    weight = _DOWNBEAT if onset == 0 else _BEAT if onset % STEPS_PER_BEAT == 0 else 0
    return round(_SWELL * sin(pi * place)) + weight


def _read(text: str, meter: Meter) -> list[_Sounding]:
    found: list[_Sounding] = []
    held: _Sounding | None = None
    steps = STEPS_PER_BEAT
    for number, bar in enumerate(text.split("|")):
        at = 0
        for item in bar.split():
            match = _ITEM.fullmatch(item)
            if match is None:
                raise ValueError(f"bar {number + 1}: {item!r} is no item")
            if match["beats"]:
                length = Fraction(match["beats"]) * STEPS_PER_BEAT
                if length.denominator != 1 or length < 1:
                    raise ValueError(f"bar {number + 1}: {item!r} is not on the grid")
                steps = int(length)
            if match["what"] == "~":
                if held is None:
                    raise ValueError(f"bar {number + 1}: nothing sounds that {item!r} could hold")
                held.steps += steps
            elif match["what"] == "r":
                held = None
            else:
                pitches = [_pitch(name, number) for name in match["what"].split("+")]
                held = _Sounding(number, at, pitches, steps)
                found.append(held)
            at += steps
        if at != meter.steps:
            beats = Fraction(at, STEPS_PER_BEAT)
            raise ValueError(f"bar {number + 1}: {beats} beats, expected {meter.beats:g}: {bar}")
    return found


def _pitch(name: str, bar: int) -> int:
    match = _PITCH.fullmatch(name)
    if match is None:
        raise ValueError(f"bar {bar + 1}: {name!r} is no pitch; expected something like Bb3")
    sign = {"#": 1, "b": -1, "": 0}[match["sign"]]
    return 12 * (int(match["octave"]) + 1) + _LETTERS[match["letter"]] + sign
