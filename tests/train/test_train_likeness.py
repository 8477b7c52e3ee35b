"""The figures of completions, on music small enough to count by hand."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")
pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.completions import Completion
from rwkv_music_train.evaluate import Loss
from rwkv_music_train.judge import _likeness_tables
from rwkv_music_train.likeness import (
    _overlap,
    density,
    in_key,
    likeness,
    onsets,
    overlap,
    pitch_classes,
    polyphony,
    register,
    repetition,
    self_similarity,
    velocity_spread,
)

from rwkv_music.music import Bar, Meter, Note

FOUR = Meter(4, 4)


def bar(*notes):
    return Bar(FOUR, 120.0, tuple(Note(onset, pitch, 80, 6) for onset, pitch in notes))


A, B = bar((0, 60), (12, 64), (30, 72)), bar((0, 61))
EMPTY = bar()


def test_histograms_and_density_by_hand():
    assert density((), (A, B)) == 4 / 8
    assert pitch_classes((A,))[[0, 4]] == pytest.approx([2 / 3, 1 / 3])
    assert onsets((A,))[[0, 6]] == pytest.approx([2 / 3, 1 / 3])
    assert not pitch_classes((EMPTY,)).any()
    assert overlap(pitch_classes((A,)), pitch_classes((B,))) == 0
    assert overlap(onsets((A,)), onsets((B,))) == pytest.approx(2 / 3)


def test_register_polyphony_and_velocities_by_hand():
    chord = Bar(FOUR, 120.0, (Note(0, 60, 70, 12), Note(0, 64, 90, 6)))
    assert register((), (chord,)) == 62
    assert polyphony((), (chord,)) == 1.5  # two in six steps, one in six; silence does not count
    assert polyphony((), (EMPTY, chord)) == 1.5
    assert velocity_spread((), (chord,)) == 10


def test_the_key_is_that_of_what_was_heard():
    c_major = bar(*((6 * i, 60 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12))))
    assert in_key((c_major,), (bar((0, 60), (6, 61), (12, 62), (18, 63)),)) == 0.5
    assert in_key((EMPTY,), (B,)) == 1  # where nothing tells the key, nothing is outside


def test_a_bar_repeats_what_stands_anywhere_before_it():
    assert repetition((A,), (B, A, B)) == pytest.approx(2 / 3)
    assert repetition((A,), (EMPTY, EMPTY)) == 0  # silence repeats nothing


def test_self_similarity_is_that_to_the_most_alike_bar_before():
    half = bar((0, 60), (12, 64))
    assert self_similarity((A,), (half,)) == pytest.approx(2 / 3)
    assert self_similarity((A, half), (half, B)) == 0.5
    assert self_similarity((), (A,)) == 0


def test_silence_has_figures():
    alike = likeness([Completion("x", (A,), (B,), (EMPTY,))])
    assert all(np.isfinite(scalar.made) for scalar in alike.scalars.values())
    assert np.isfinite(alike.distance)


def test_the_truth_is_like_itself():
    same = likeness([Completion("x", (A, A), (B, A), (B, A)), Completion("y", (B,), (A,), (A,))])
    assert same.distance == 0
    assert same.scalars["notes a beat"].made == (0.5 + 0.75) / 2
    assert same.overlaps["pitch classes"].made == pytest.approx(1)
    assert same.overlaps["pitch classes"].halves == pytest.approx((0.75 + 0) / 2)


def test_the_distance_counts_deviations_and_shortness():
    made = likeness([Completion("x", (A,), (A,), (B,)), Completion("y", (A,), (B,), (B,))])
    density = made.scalars["notes a beat"]
    assert density.off == pytest.approx((0.25 - 0.5) / 0.25)
    pitches = made.overlaps["pitch classes"]
    assert pitches.made == pytest.approx(0.5)
    assert pitches.halves == pytest.approx(0.5)
    assert pitches.short == 0
    assert made.distance > 0


def test_bits_a_note():
    assert Loss(np.log(2), 40, 10).bits_a_note == pytest.approx(4)


def test_where_the_true_ones_are_all_alike_nothing_says_how_far_off_the_models_are():
    one = Completion("x", (A,), (B,), (A,))
    table, _ = _likeness_tables(likeness([one, one]), 1, 2)
    assert [row[-1] for row in table.rows] == ["-"] * len(table.rows)
    several = likeness([Completion("x", (A, A), (B,), (A,)), Completion("y", (B,), (A,), (EMPTY,))])
    table, _ = _likeness_tables(several, 1, 2)
    assert "-" not in [row[-1] for row in table.rows if row[0] == "notes a beat"]


def test_the_error_of_a_difference_is_that_of_chance():
    """Pairs drawn anew, many times: the differences spread as much as each of them says."""
    rng = np.random.default_rng(0)
    found = [_overlap(rng.uniform(0.2, 0.6, 100), rng.uniform(0.5, 1.0, 100)) for _ in range(400)]
    spread = float(np.std([each.difference for each in found]))
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.15)
    halves = rng.uniform(0.5, 1.0, 100)
    assert _overlap(halves * 0.9, halves).difference == pytest.approx(-0.1)
    assert _overlap(halves * 0.9, halves).error == pytest.approx(0, abs=1e-9)
