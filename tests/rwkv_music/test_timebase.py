from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music import timebase


@pytest.mark.parametrize(
    ("x", "nearest"), [(0.5, 1), (-0.5, 0), (1.49, 1), (2.5, 3), (-1.5, -1), (-1.51, -2)]
)
def test_halves_round_upwards(x: float, nearest: int) -> None:
    assert timebase.round_half_up(x) == nearest


def test_an_onset_exactly_half_a_step_early_belongs_to_the_line() -> None:
    assert timebase.beats_to_steps(4 - 1 / 24) == 48
    assert timebase.beats_to_steps(4 - 1.001 / 24) == 47


def test_a_beat_at_120_is_half_a_second() -> None:
    assert timebase.ns_per_beat(120) == 500_000_000
    assert timebase.beats_to_ns(3, 120) == 1_500_000_000
    assert round(timebase.ns_per_step(120)) == 41_666_667


@given(st.integers(0, 10**6), st.floats(20, 400))
def test_steps_survive_the_way_through_nanoseconds(steps: int, tempo_bpm: float) -> None:
    ns = timebase.beats_to_ns(timebase.steps_to_beats(steps), tempo_bpm)
    assert timebase.beats_to_steps(ns / timebase.ns_per_beat(tempo_bpm)) == steps
