"""Logits, a mask and a generator to one id: temperature, top-k, top-p, min-p."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .music import HIGHEST_PITCH, LOWEST_PITCH


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn; the names are those of the OSC parameters.

    temperature 0 takes the likeliest; top_k 0 and min_p 0 are off. The fields from
    `repetition_penalty` on are what `constraints.Constraints` keeps to; their defaults are off.
    """

    temperature: float = 0.95
    top_p: float = 0.95
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    key: str = "none"
    scale: str = "major"
    pitch_low: int = LOWEST_PITCH
    pitch_high: int = HIGHEST_PITCH
    density: float = 1.0
    polyphony: int = 0
    velocity_scale: float = 1.0


def draw(
    logits: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    sampling: Sampling,
    rng: np.random.Generator,
) -> int:
    """Draw one of the allowed ids. Exactly one random number is used, whatever the settings."""
    u = rng.random()
    ids = np.flatnonzero(allowed)
    scores = logits[ids].astype(np.float64)
    if sampling.temperature <= 0 or len(ids) == 1:
        return int(ids[scores.argmax()])
    order = np.argsort(-scores, kind="stable")
    ids, scores = ids[order], scores[order]
    weights = np.exp((scores - scores[0]) / sampling.temperature)
    keep = len(ids) if sampling.top_k <= 0 else min(sampling.top_k, len(ids))
    if sampling.min_p > 0:
        keep = min(keep, max(1, int((weights >= sampling.min_p).sum())))
    cumulative = np.cumsum(weights)
    if sampling.top_p < 1:
        keep = min(keep, int(np.searchsorted(cumulative, sampling.top_p * cumulative[-1])) + 1)
    return int(
        ids[min(int(np.searchsorted(cumulative[:keep], u * cumulative[keep - 1])), keep - 1)]
    )
