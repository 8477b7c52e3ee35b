from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music.errors import TokenError
from rwkv_music.music import HIGHEST_PITCH, LONGEST_STEPS, LOWEST_PITCH, METERS
from rwkv_music.tokenizer import TempoTracker, load_vocabulary
from rwkv_music.tokenizer.vocabulary import TEMPO_COUNT, tempo_class, tempo_of_class

V = load_vocabulary()
# Checkpoints carry this hash. A change here orphans every checkpoint: raise FORMAT instead.
FROZEN_HASH = "5e0fa7fc3e6f5f2e67576298fd32656be09c72588ec310ed6276d23d70273d72"


def test_the_vocabulary_is_the_frozen_one() -> None:
    assert V.hash == FROZEN_HASH
    assert len(V) == 432
    assert (V.pad, V.bos, V.eos, V.bar) == (0, 1, 2, 3)


def test_it_is_what_the_maker_makes() -> None:
    pytest.importorskip("miditok", reason="miditok comes with the extra 'train'")
    from rwkv_music_train.vocabulary import tokens

    assert tuple(tokens()) == V.tokens


def test_every_id_has_exactly_one_kind() -> None:
    kinds = (V.pitch, V.velocity, V.duration, V.position, V.meter, V.tempo, V.pedal, V.reserved)
    ids = [V.pad, V.bos, V.eos, V.bar, *(i for kind in kinds for i in kind)]
    assert sorted(ids) == list(range(len(V)))


def test_tokens_say_what_their_ids_mean() -> None:
    assert V.tokens[V.pitch_id(60)] == "Pitch_60"
    assert V.tokens[V.duration_id(1)] == "Duration_0.1.12"
    assert V.tokens[V.duration_id(LONGEST_STEPS)] == "Duration_8.0.12"
    assert V.tokens[V.position_id(95)] == "Position_95"
    assert [V.tokens[V.meter_id(m)] for m in METERS] == [f"TimeSig_{m}" for m in METERS]
    assert V.tokens[V.tempo_id(120)] == "Tempo_120.00"
    assert V.tokens[V.reserved_id(63)] == "Reserved_63"


def test_velocities_round_as_miditok_rounds_them() -> None:
    pytest.importorskip("miditok", reason="miditok comes with the extra 'train'")
    import numpy as np
    from miditok.utils.utils import np_get_closest
    from rwkv_music_train.vocabulary import remi

    every = np.arange(1, 128)
    theirs = np_get_closest(remi().velocities, every)
    assert [V.velocities[V.velocity_id(int(x)) - V.velocity.start] for x in every] == list(theirs)


@pytest.mark.parametrize("pitch", [LOWEST_PITCH - 1, HIGHEST_PITCH + 1, -1])
def test_a_pitch_off_the_keyboard_has_no_token(pitch: int) -> None:
    with pytest.raises(TokenError, match="Pitch_21 to Pitch_108"):
        V.pitch_id(pitch)


def test_other_numbers_without_a_token_are_refused() -> None:
    for ask, number in (
        (V.velocity_id, 0),
        (V.velocity_id, 128),
        (V.duration_id, 0),
        (V.position_id, -1),
        (V.position_id, 96),
        (V.reserved_id, 64),
    ):
        with pytest.raises(TokenError):
            ask(number)
    assert V.duration_id(1000) == V.duration_id(LONGEST_STEPS)


@pytest.mark.parametrize("tempo_bpm", [0.0, -1.0, math.inf, math.nan])
def test_a_tempo_that_is_none_is_refused(tempo_bpm: float) -> None:
    with pytest.raises(TokenError, match="tempo"):
        tempo_class(tempo_bpm)


@given(st.floats(1e-6, 1e9))
def test_a_tempo_is_settled_within_half_a_class(tempo_bpm: float) -> None:
    index = tempo_class(tempo_bpm)
    assert 0 <= index < TEMPO_COUNT
    if tempo_of_class(0) <= tempo_bpm <= tempo_of_class(TEMPO_COUNT - 1):
        assert abs(12 * math.log2(tempo_bpm / tempo_of_class(index))) <= 0.5 + 1e-9


@given(st.floats(40, 290), st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=20))
def test_a_jittering_clock_makes_no_new_tokens(tempo_bpm: float, jitter: list[float]) -> None:
    """Jitter of a fifth of a class stays in the class, also when the tempo is on its edge."""
    tracker = TempoTracker()
    settled = tracker.settle(tempo_bpm)
    assert {tracker.settle(tempo_bpm * 2 ** (j / 12)) for j in jitter} == {settled}


def test_a_tempo_that_really_moves_is_followed() -> None:
    tracker = TempoTracker()
    assert tracker.settle(120) == 120
    assert tracker.settle(60) == pytest.approx(60)
    assert tracker.settle(1e6) == tempo_of_class(TEMPO_COUNT - 1)
    assert tracker.settle(100) == pytest.approx(120 * 2 ** (-3 / 12))
