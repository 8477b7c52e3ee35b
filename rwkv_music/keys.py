"""Keys and scales as sets of pitch classes, and the key that some music seems to be in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from math import isfinite
from statistics import median

from .errors import ConfigError
from .music import Note

_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS = {"Db": 1, "Eb": 3, "Gb": 6, "Ab": 8, "Bb": 10}
TONICS = {name: number for number, name in enumerate(_SHARPS)} | _FLATS

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "harmonic_minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic_minor": (0, 2, 3, 5, 7, 9, 11),
    "major_pentatonic": (0, 2, 4, 7, 9),
    "minor_pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole_tone": (0, 2, 4, 6, 8, 10),
    "chromatic": tuple(range(12)),
}

# The usual name of each pitch class as a tonic, C first.
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NOTHING_HEARD = (0.0,) * 12  # the weights of silence
_TELLING_CLASSES = 3  # as in a chord; fewer are in many keys

# How well listeners find that each pitch class fits a key (Krumhansl and Kessler, 1982).
_MAJOR_FIT = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR_FIT = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def scale_classes(tonic: int, scale: str) -> frozenset[int]:
    """Pitch classes (0 is C) of a scale. Raises ConfigError for an unknown scale."""
    if scale not in SCALES:
        raise ConfigError(f"scale: got {scale!r}, expected one of {', '.join(SCALES)}")
    return frozenset((tonic + degree) % 12 for degree in SCALES[scale])


def tonic_of(key: str) -> int:
    """Pitch class of a key's name. Raises ConfigError."""
    if key not in TONICS:
        raise ConfigError(f"key: got {key!r}, expected none, auto or one of {', '.join(TONICS)}")
    return TONICS[key]


def name_of(tonic: int | None) -> str:
    """The key's name as a parameter: `none` for no tonic."""
    return "none" if tonic is None else _NAMES[tonic]


def pitch_class_weights(notes: Iterable[Note]) -> tuple[float, ...]:
    """How long each pitch class sounds, in steps: what `estimate_tonic` takes."""
    weights = [0.0] * 12
    for note in notes:
        weights[note.pitch % 12] += note.duration
    return tuple(weights)


def estimate_tonic(weights: Sequence[float], scale: str = "major") -> int | None:
    """The tonic on which `scale` fits best; None when the music does not tell (silence, or every
    class alike)."""
    if not all(map(isfinite, weights)):
        return None
    heard = _levelled(weights)
    if sum(weight * weight for weight in heard) < 1e-9:
        return None
    fit = _fit(scale)

    def fits(tonic: int) -> float:
        return sum(weight * fit[(place - tonic) % 12] for place, weight in enumerate(heard))

    return max(range(12), key=fits)


def heard_tonic(weights: Sequence[float] | None, scale: str = "major") -> int | None:
    """The tonic that `key auto` keeps to; None while too little was heard to tell: fewer than
    three pitch classes."""
    if weights is None or sum(weight > 0 for weight in weights) < _TELLING_CLASSES:
        return None
    return estimate_tonic(weights, scale)


def key_classes(notes: Iterable[Note]) -> frozenset[int]:
    """Pitch classes of the major or harmonic minor key that holds most of what sounds; all twelve
    when the music does not tell."""
    weights = pitch_class_weights(notes)
    candidates = [
        scale_classes(tonic, scale)
        for scale in ("major", "harmonic_minor")
        if (tonic := estimate_tonic(weights, scale)) is not None
    ]
    every = frozenset(range(12))
    return max(candidates, key=lambda classes: sum(weights[c] for c in classes), default=every)


@cache
def _fit(scale: str) -> tuple[float, ...]:
    """How well each degree fits a scale, with mean 0: the listeners' values of the major or minor
    key with the same third; what they rate outside the scale is levelled to their lowest."""
    degrees = scale_classes(0, scale)
    base = _MAJOR_FIT if 4 in degrees else _MINOR_FIT
    middle, lowest = median(base), min(base)
    return _levelled(
        [max(base[d], middle) if d in degrees else lowest for d in range(12)],
    )


def _levelled(values: Sequence[float]) -> tuple[float, ...]:
    """The same with mean 0."""
    mean = sum(values) / len(values)
    return tuple(value - mean for value in values)
