"""Music in grid steps: what the tokenizer, the models and the daemon exchange.

A beat is a quarter note in every meter and has STEPS_PER_BEAT steps, so that sixteenths and
triplets both fall on the grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from .errors import TokenError

STEPS_PER_BEAT = 12
LOWEST_PITCH, HIGHEST_PITCH = 21, 108  # the piano's keys
LONGEST_STEPS = 8 * STEPS_PER_BEAT  # the longest duration that has a token

_NUMERATORS = {4: (1, 2, 3, 4, 5, 6, 8), 8: (3, 5, 6, 7, 9, 12)}


@dataclass(frozen=True, slots=True, order=True)
class Meter:
    """A time signature that has a token. Raises TokenError for any other."""

    numerator: int = 4
    denominator: int = 4

    def __post_init__(self) -> None:
        if self.numerator not in _NUMERATORS.get(self.denominator, ()):
            raise TokenError(
                f"meter: got {self.numerator}/{self.denominator}, expected one of "
                + ", ".join(f"{n}/{d}" for d, ns in _NUMERATORS.items() for n in ns)
            )

    @classmethod
    def parse(cls, text: str) -> Meter:
        """Read "6/8". Raises TokenError."""
        numerator, _, denominator = text.partition("/")
        if not (numerator.strip().isdecimal() and denominator.strip().isdecimal()):
            raise TokenError(f'meter: got {text!r}, expected something like "4/4"')
        return cls(int(numerator), int(denominator))

    @property
    def steps(self) -> int:
        """Length of a bar in steps."""
        return self.numerator * 4 * STEPS_PER_BEAT // self.denominator

    @property
    def beats(self) -> float:
        """Length of a bar in quarter notes."""
        return self.numerator * 4 / self.denominator

    def __str__(self) -> str:
        return f"{self.numerator}/{self.denominator}"


METERS = tuple(Meter(n, d) for d, ns in _NUMERATORS.items() for n in ns)


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """A note inside a bar; the order of the fields is the order of the tokens in a bar.

    `onset` counts steps from the bar line, `duration` steps (it may cross bar lines),
    `velocity` is 1-127.
    """

    onset: int
    pitch: int
    velocity: int
    duration: int

    @property
    def end(self) -> int:
        """First step after the note, counted from the bar line."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of music: its meter, its tempo in quarters a minute, its notes in order.

    A pitch starts at most once on a step.
    """

    meter: Meter
    tempo_bpm: float
    notes: tuple[Note, ...] = ()


Phrase = tuple[Bar, ...]


def canonical(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Notes of a bar as its tokens say them: sorted, and of two notes of one pitch on one
    step only the longer (of equals, the louder)."""
    best: dict[tuple[int, int], Note] = {}
    for note in notes:
        key = note.onset, note.pitch
        held = best.get(key)
        if held is None or (note.duration, note.velocity) > (held.duration, held.velocity):
            best[key] = note
    return tuple(sorted(best.values()))


def cut_overlaps(bars: Iterable[Bar]) -> Phrase:
    """The same music with no pitch sounding twice at once, as one keyboard would play it:
    a key struck again ends its earlier note."""
    bars = tuple(bars)
    cut: list[list[Note]] = []
    last: dict[int, tuple[int, int, int]] = {}  # pitch -> (absolute onset, bar, index)
    start = 0
    for number, bar in enumerate(bars):
        notes: list[Note] = []
        cut.append(notes)
        for note in canonical(bar.notes):
            if note.pitch in last:
                onset, home, index = last[note.pitch]
                held = cut[home][index]
                room = start + note.onset - onset
                if held.duration > room:
                    cut[home][index] = replace(held, duration=room)
            last[note.pitch] = (start + note.onset, number, len(notes))
            notes.append(note)
        start += bar.meter.steps
    return tuple(replace(bar, notes=tuple(notes)) for bar, notes in zip(bars, cut, strict=True))
