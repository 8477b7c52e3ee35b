"""How like the true continuations completions are: pitches, rhythm, density, keys, repetition.

No figure of these says that music is good; far from the true ones it is surely another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from rwkv_music.keys import key_classes
from rwkv_music.music import STEPS_PER_BEAT, Note, Phrase

from .completions import Completion

Histogram = NDArray[np.float64]
_LEAST_SPREAD = 1e-3


def pitch_classes(phrase: Phrase) -> Histogram:
    """Share of the notes on each of the twelve pitch classes, [12]; zeros without notes."""
    return _shares([note.pitch % 12 for note in _notes(phrase)], 12)


def onsets(phrase: Phrase) -> Histogram:
    """Share of the notes on each step of the beat, [STEPS_PER_BEAT]."""
    return _shares([note.onset % STEPS_PER_BEAT for note in _notes(phrase)], STEPS_PER_BEAT)


def density(heard: Phrase, following: Phrase) -> float:
    """Notes a beat."""
    beats = sum(bar.meter.beats for bar in following)
    return len(_notes(following)) / max(beats, 1e-9)


def register(heard: Phrase, following: Phrase) -> float:
    """The mean pitch."""
    pitches = [note.pitch for note in _notes(following)]
    return sum(pitches) / max(len(pitches), 1)


def polyphony(heard: Phrase, following: Phrase) -> float:
    """Notes that sound together, on the average of the time in which any does."""
    steps = sum(bar.meter.steps for bar in following)
    sounding, start = np.zeros(steps, np.int64), 0
    for bar in following:
        for note in bar.notes:
            sounding[start + note.onset : start + note.end] += 1
        start += bar.meter.steps
    return float(sounding[sounding > 0].mean()) if sounding.any() else 0.0


def in_key(heard: Phrase, following: Phrase) -> float:
    """Share of the notes in the major or harmonic minor key that what was heard seems to be in."""
    classes = key_classes(_notes(heard))
    inside = [note.pitch % 12 in classes for note in _notes(following)]
    return sum(inside) / max(len(inside), 1)


def velocity_spread(heard: Phrase, following: Phrase) -> float:
    """Standard deviation of the velocities."""
    return float(np.std([note.velocity for note in _notes(following)] or [0]))


def repetition(heard: Phrase, following: Phrase) -> float:
    """Share of the bars that stand, onset for onset and pitch for pitch, somewhere before."""
    bars, first = _contents(heard + following), len(heard)
    repeated = sum(bool(bars[i]) and bars[i] in bars[:i] for i in range(first, len(bars)))
    return repeated / max(len(following), 1)


def self_similarity(heard: Phrase, following: Phrase) -> float:
    """How much of a bar, onsets and pitches, stands in the one before it that is most like it:
    notes in common over notes of either, on the average of the bars."""
    bars, first = _contents(heard + following), len(heard)
    most = [
        max((_in_common(bars[i], bars[k]) for k in range(i)), default=0.0)
        for i in range(first, len(bars))
    ]
    return fmean(most) if most else 0.0


SCALARS: Mapping[str, Callable[[Phrase, Phrase], float]] = {
    "notes a beat": density,
    "mean pitch": register,
    "notes at once": polyphony,
    "spread of velocities": velocity_spread,
    "share of notes in the context's key": in_key,
    "share of bars that repeat one": repetition,
    "likeness to the most alike bar before": self_similarity,
}
HISTOGRAMS: Mapping[str, Callable[[Phrase], Histogram]] = {
    "pitch classes": pitch_classes,
    "onsets in the beat": onsets,
}


def overlap(a: Histogram, b: Histogram) -> float:
    """What two histograms have in common: 1 for the same, 0 for nothing."""
    return float(np.minimum(a, b).sum())


@dataclass(frozen=True, slots=True)
class Scalar:
    """Means over completions, and the standard deviation of the true continuations."""

    made: float
    true: float
    spread: float

    @property
    def off(self) -> float:
        """How far the model's mean is from the true one, in standard deviations."""
        return (self.made - self.true) / max(self.spread, _LEAST_SPREAD)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Means over completions: what the model's histogram, and that of as many bars of the context,
    have in common with the true continuation's. The latter is what two halves of a real passage
    have in common. error: the standard error of `difference`."""

    made: float
    halves: float
    error: float = 0.0

    @property
    def difference(self) -> float:
        """Of the model's from the halves', as a share of these."""
        return self.made / max(self.halves, _LEAST_SPREAD) - 1

    @property
    def short(self) -> float:
        """By which share the model's is the smaller."""
        return max(-self.difference, 0.0)


@dataclass(frozen=True, slots=True)
class Likeness:
    """The figures of completions, by the names of SCALARS and HISTOGRAMS."""

    scalars: dict[str, Scalar]
    overlaps: dict[str, Overlap]

    @property
    def distance(self) -> float:
        """One number, 0 at best: the scalars' mean |off|, and the overlaps' mean shortness."""
        off = fmean(abs(scalar.off) for scalar in self.scalars.values())
        return off + fmean(each.short for each in self.overlaps.values())


def likeness(completions: Sequence[Completion]) -> Likeness:
    """The figures of completions whose truth is known."""
    scalars = {}
    for name, scalar in SCALARS.items():
        made = [scalar(c.heard, c.made) for c in completions]
        true = [scalar(c.heard, c.truth) for c in completions]
        scalars[name] = Scalar(fmean(made), fmean(true), float(np.std(true)))
    overlaps = {}
    for name, histogram in HISTOGRAMS.items():
        truths = [histogram(c.truth) for c in completions]
        ours = [overlap(histogram(c.made), t) for c, t in zip(completions, truths, strict=True)]
        halves = [
            overlap(histogram(c.heard[-len(c.truth) :]), t)
            for c, t in zip(completions, truths, strict=True)
        ]
        overlaps[name] = _overlap(np.array(ours), np.array(halves))
    return Likeness(scalars, overlaps)


def _overlap(made: NDArray[np.float64], halves: NDArray[np.float64]) -> Overlap:
    """Of the same completions; the error is that of a ratio of their means."""
    found = Overlap(float(made.mean()), float(halves.mean()))
    residuals = made - (1 + found.difference) * halves
    error = float(np.sqrt(np.square(residuals).sum())) / max(float(halves.sum()), _LEAST_SPREAD)
    return replace(found, error=error)


def _notes(phrase: Phrase) -> list[Note]:
    return [note for bar in phrase for note in bar.notes]


def _contents(phrase: Phrase) -> list[frozenset[tuple[int, int]]]:
    return [frozenset((note.onset, note.pitch) for note in bar.notes) for bar in phrase]


def _in_common(a: frozenset[tuple[int, int]], b: frozenset[tuple[int, int]]) -> float:
    return len(a & b) / max(len(a | b), 1)


def _shares(values: list[int], size: int) -> Histogram:
    counts = np.bincount(np.array(values, np.int64), minlength=size)
    shares: Histogram = counts / max(int(counts.sum()), 1)
    return shares
