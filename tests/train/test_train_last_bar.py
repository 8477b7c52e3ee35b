"""The baseline that plays the last bar again: a probability, and sure of itself where it may be."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")
pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.last_bar import DURATION, NEXT, PITCH, VELOCITY, LastBar
from rwkv_music_train.pieces import Piece
from rwkv_music_train.windows import Window
from training_samples import phrase, piece

from rwkv_music.tokenizer import encode_bar, load_vocabulary

V = load_vocabulary()


def piece_of(bars):
    tokens, offsets = [], [0]
    for bar in bars:
        tokens += encode_bar(bar)
        offsets.append(len(tokens))
    return Piece("x", "samples", np.array(tokens, np.uint16), np.array(offsets, np.int32))


def window_of(bars, context):
    whole = piece_of(bars)
    tokens = np.concatenate([[V.bos], whole.tokens.astype(np.int64)])
    return Window(tokens, 1 + int(whole.bars[context]))


def test_chances_of_all_tokens_sum_to_one():
    model = LastBar([piece(s) for s in range(3)], V)
    every = np.arange(len(V))
    for place in (NEXT, PITCH, VELOCITY, DURATION):
        for expected in (-1, V.pitch.start + 39, V.bar):
            where = np.full(len(V), place)
            chances = model.chances(every, where, np.full(len(V), expected))
            assert chances.sum() == pytest.approx(1)


def test_a_bar_that_comes_again_is_expected_to_the_last_token():
    bars = phrase(0, bars=2)
    model = LastBar([piece_of((bar,) * 6) for bar in phrase(1, bars=4)], V)
    assert (model.again > 0.97).all()
    (again,), (other,) = (
        model.nats([window_of(pair, 1)]) for pair in ((bars[0], bars[0]), (bars[0], bars[1]))
    )
    assert len(again) > 30
    assert (again[1:] < 0.05).all()  # the first target ends the bar that is to come again
    assert other[1:].sum() > 20 * again[1:].sum()


def test_without_a_bar_before_there_are_only_the_usual_tokens():
    model = LastBar([piece(s) for s in range(3)], V)
    (nats,) = model.nats([window_of(phrase(0, bars=1), 0)])
    tokens = piece_of(phrase(0, bars=1)).tokens
    first = model.usual[NEXT, tokens[3]]  # after the header
    assert nats[0] == pytest.approx(-np.log(first))


def test_where_bars_never_come_again_repeating_is_not_trusted():
    rng = np.random.default_rng(0)
    pieces = []
    for seed in range(6):
        whole = piece(seed, bars=20)
        pitches = (whole.tokens >= V.pitch.start) & (whole.tokens < V.pitch.stop)
        whole.tokens[pitches] = rng.integers(V.pitch.start, V.pitch.stop, pitches.sum())
        pieces.append(whole)
    assert LastBar(pieces, V).again[PITCH] < 0.1
