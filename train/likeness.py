"""How like the true continuations completions are: density, pitches, rhythm, repetition.

No figure of these says that music is good; far from the true ones it is surely another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwkv_music.music import STEPS_PER_BEAT, Phrase

from .completions import Completion

Histogram = NDArray[np.float64]


def pitch_classes(phrase: Phrase) -> Histogram:
    """Share of the notes on each of the twelve pitch classes, [12]; zeros without notes."""
    return _shares([note.pitch % 12 for bar in phrase for note in bar.notes], 12)


def onsets(phrase: Phrase) -> Histogram:
    """Share of the notes on each step of the beat, [STEPS_PER_BEAT]."""
    steps = [note.onset % STEPS_PER_BEAT for bar in phrase for note in bar.notes]
    return _shares(steps, STEPS_PER_BEAT)


def density(phrase: Phrase) -> float:
    """Notes a beat."""
    beats = sum(bar.meter.beats for bar in phrase)
    return sum(len(bar.notes) for bar in phrase) / max(beats, 1e-9)


def repetition(heard: Phrase, following: Phrase) -> float:
    """Share of the bars that stand, onset for onset and pitch for pitch, somewhere before."""
    bars = [frozenset((note.onset, note.pitch) for note in bar.notes) for bar in heard + following]
    first = len(heard)
    repeated = sum(bool(bars[i]) and bars[i] in bars[:i] for i in range(first, len(bars)))
    return repeated / max(len(following), 1)


def overlap(a: Histogram, b: Histogram) -> float:
    """What two histograms have in common: 1 for the same, 0 for nothing."""
    return float(np.minimum(a, b).sum())


@dataclass(frozen=True, slots=True)
class Likeness:
    """Means over completions: of the model, and of a comparison that says what to expect.

    density, repetition: of the model's and of the true continuations. pitch_classes, onsets: the
    overlap with the true continuation's histogram, of the model's and of the context's.
    """

    density: tuple[float, float]
    repetition: tuple[float, float]
    pitch_classes: tuple[float, float]
    onsets: tuple[float, float]


def likeness(completions: Sequence[Completion]) -> Likeness:
    """The figures of completions whose truth is known."""
    rows = [
        (
            (density(c.made), density(c.truth)),
            (repetition(c.heard, c.made), repetition(c.heard, c.truth)),
            _against_truth(pitch_classes, c),
            _against_truth(onsets, c),
        )
        for c in completions
    ]
    means = np.array(rows, float).reshape(-1, 4, 2).mean(axis=0)
    return Likeness(*((float(model), float(other)) for model, other in means))


def _against_truth(
    histogram: Callable[[Phrase], Histogram], completion: Completion
) -> tuple[float, float]:
    truth = histogram(completion.truth)
    made, heard = histogram(completion.made), histogram(completion.heard)
    return overlap(made, truth), overlap(heard, truth)


def _shares(values: list[int], size: int) -> Histogram:
    counts = np.bincount(np.array(values, np.int64), minlength=size)
    shares: Histogram = counts / max(int(counts.sum()), 1)
    return shares
