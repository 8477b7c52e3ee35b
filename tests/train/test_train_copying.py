"""Copied notes are found in any key; new ones are not."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.copying import KnownRuns, runs_of
from training_samples import piece

from rwkv_music.tokenizer import load_vocabulary

V = load_vocabulary()


def test_a_transposed_copy_is_found_and_other_music_is_not():
    pieces = [piece(seed) for seed in range(3)]
    known = KnownRuns(pieces, V, length=12)
    tokens = pieces[1].tokens[pieces[1].bars[2] : pieces[1].bars[6]].astype(np.int64)
    is_pitch = (tokens >= V.pitch.start) & (tokens < V.pitch.stop)
    found, total = known.found(tokens + 3 * is_pitch)
    assert found == total > 20
    found, total = known.found(piece(99).tokens)
    assert total > 100
    assert found < total / 10


def test_music_shorter_than_a_run_has_none():
    tokens = piece(0, bars=1).tokens
    assert len(runs_of(tokens, V, 1000)) == 0
