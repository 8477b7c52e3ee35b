"""The figures of completions, on music small enough to count by hand."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.completions import Completion
from rwkv_music_train.evaluate import Loss
from rwkv_music_train.likeness import density, likeness, onsets, overlap, pitch_classes, repetition

from rwkv_music.music import Bar, Meter, Note

FOUR = Meter(4, 4)


def bar(*notes):
    return Bar(FOUR, 120.0, tuple(Note(onset, pitch, 80, 6) for onset, pitch in notes))


A, B = bar((0, 60), (12, 64), (30, 72)), bar((0, 61))


def test_histograms_and_density_by_hand():
    assert density((A, B)) == 4 / 8
    assert pitch_classes((A,))[[0, 4]] == pytest.approx([2 / 3, 1 / 3])
    assert onsets((A,))[[0, 6]] == pytest.approx([2 / 3, 1 / 3])
    assert not pitch_classes((bar(),)).any()
    assert overlap(pitch_classes((A,)), pitch_classes((B,))) == 0
    assert overlap(onsets((A,)), onsets((B,))) == pytest.approx(2 / 3)


def test_a_bar_repeats_what_stands_anywhere_before_it():
    assert repetition((A,), (B, A, B)) == pytest.approx(2 / 3)
    assert repetition((A,), (bar(), bar())) == 0  # silence repeats nothing


def test_the_truth_is_like_itself():
    same = likeness([Completion("x", (A,), (B, A), (B, A))])
    assert same.density[0] == same.density[1]
    assert same.repetition == (0.5, 0.5)
    assert same.pitch_classes[0] == pytest.approx(1)
    assert same.onsets[0] == pytest.approx(1)
    assert same.pitch_classes[1] == pytest.approx(0.75)  # A against B and A


def test_bits_a_note():
    assert Loss(np.log(2), 40, 10).bits_a_note == pytest.approx(4)
