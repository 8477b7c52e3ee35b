"""The n-gram baseline is a probability, learns what there is, and uses its context."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.ngram import NGram
from rwkv_music_train.windows import validation_windows
from training_samples import piece

from rwkv_music.tokenizer import load_vocabulary

V = load_vocabulary()
SIZE = len(V)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_of_all_tokens_sum_to_one(order):
    model = NGram([piece(s) for s in range(3)], V, order)
    rng = np.random.default_rng(0)
    seen = piece(0).tokens[20 : 20 + order - 1]
    for history in (seen, rng.integers(0, SIZE, order - 1)):
        packed = 0
        for token in history:
            packed = packed * SIZE + int(token)
        chances = model.probabilities(packed * SIZE + np.arange(SIZE))
        assert chances.sum() == pytest.approx(1.0, abs=1e-9)
        assert (chances > 0).all()


def test_a_longer_context_helps_and_both_beat_chance():
    pieces = [piece(s) for s in range(8)]
    windows = validation_windows([piece(50)], V, 512, 2, 0)
    one, three = (np.concatenate(NGram(pieces, V, o).nats(windows)).mean() for o in (1, 3))
    assert np.log(SIZE) > one > three


def test_the_bigram_of_a_tiny_text_by_hand():
    """Interpolated Kneser-Ney with discounts of one half, worked out on paper: after `a`, b came
    twice and c once, so P(b|a) = 1.5/3 + (1/3) P(b); b and c each follow one token only, a follows
    BOS, b and c: P(b) = 0.5/5 + (1.5/5) / V."""
    from rwkv_music_train.pieces import Piece

    a, b, c = 10, 11, 12
    text = np.array([a, b, a, c, a, b], np.uint16)
    model = NGram([Piece("", "", text, np.array([0, 6], np.int32))], V, 2)
    lower = 0.5 / 5 + (1.5 / 5) / SIZE
    expected = 1.5 / 3 + (1.0 / 3) * lower
    assert model.probabilities(np.array([a * SIZE + b]))[0] == pytest.approx(expected)
