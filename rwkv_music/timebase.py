"""Pure conversions between steps, beats and nanoseconds."""

from __future__ import annotations

import math

from .music import STEPS_PER_BEAT

NS_PER_MINUTE = 60_000_000_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


def round_half_up(x: float) -> int:
    """Nearest integer, halves upwards: an onset exactly half a step early belongs to the line."""
    return math.floor(x + 0.5)


def beats_to_steps(beats: float) -> int:
    """Nearest grid step."""
    return round_half_up(beats * STEPS_PER_BEAT)


def steps_to_beats(steps: float) -> float:
    """Quarter notes."""
    return steps / STEPS_PER_BEAT


def ns_per_beat(tempo_bpm: float) -> float:
    """Nanoseconds of a quarter note."""
    return NS_PER_MINUTE / tempo_bpm


def ns_per_step(tempo_bpm: float) -> float:
    """Nanoseconds of a grid step."""
    return NS_PER_MINUTE / (tempo_bpm * STEPS_PER_BEAT)


def beats_to_ns(beats: float, tempo_bpm: float) -> int:
    """Nanoseconds of so many quarter notes."""
    return round(beats * NS_PER_MINUTE / tempo_bpm)
