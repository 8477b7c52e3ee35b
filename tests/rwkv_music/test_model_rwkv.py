"""RwkvMusicModel, token by token: what the contract suite cannot see from outside."""

import numpy as np
import pytest

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import TokenError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.protocol import BarRequest, propose
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.music import LONGEST_STEPS, Bar, Meter, Note
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import encode_bar, encode_onset, load_vocabulary

V = load_vocabulary()
FOUR = Meter(4, 4)
ENGINE = NumpyEngine(random_weights(ModelConfig(2, 64, len(V), 8, 8, 8, 8), seed=4))
MODEL = RwkvMusicModel(ENGINE, V, "test")


def told(tokens):
    """The engine's state and logits after BOS and these tokens."""
    state = ENGINE.new_state()
    return state, ENGINE.prefill(state, [V.bos, *tokens])


def assert_heard(state, tokens):
    engine, logits = told(tokens)
    np.testing.assert_allclose(state.engine, engine, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(state.logits, logits, atol=1e-4, rtol=1e-5)


def test_it_starts_after_bos():
    assert_heard(MODEL.start(), [])


def test_it_hears_the_tokens_of_the_bars():
    bars = [
        Bar(FOUR, 120.0, (Note(0, 60, 79, 12), Note(0, 64, 79, 12), Note(30, 50, 3, 96))),
        Bar(Meter(6, 8), 90.0, (Note(35, 21, 127, 1),)),
        Bar(FOUR, 120.0),
    ]
    state, tokens = MODEL.start(), []
    for bar in bars:
        MODEL.open_bar(state, bar.meter, bar.tempo_bpm)
        MODEL.hear_notes(state, bar.notes)
        tokens += encode_bar(bar)
    assert_heard(state, tokens)


def test_a_completed_bar_leaves_the_bar_token_to_the_next_header():
    state = MODEL.start()
    MODEL.open_bar(state, FOUR, 120.0)
    request = BarRequest(FOUR, needs_note=True)
    notes = tuple(propose(MODEL, state, request, np.random.default_rng(1)))
    assert notes
    assert_heard(state, encode_bar(Bar(FOUR, 120.0, notes)))


def test_at_temperature_0_each_token_is_the_likeliest():
    state = MODEL.start()
    MODEL.open_bar(state, FOUR, 120.0)
    logits = state.logits
    request = BarRequest(FOUR, needs_note=True, sampling=Sampling(temperature=0))
    note = next(iter(propose(MODEL, state, request, np.random.default_rng(0))))
    first = V.position.start + int(logits[V.position.start : V.position.start + 48].argmax())
    assert V.position_id(note.onset) == first
    _, logits = told([*encode_bar(Bar(FOUR, 120.0)), first])
    assert V.pitch_id(note.pitch) == V.pitch.start + int(
        logits[V.pitch.start : V.pitch.stop].argmax()
    )


@pytest.mark.parametrize("at_least", [0, 1, 40, 95, 96, 200])
def test_the_expected_duration_is_the_mean_of_the_longer_ones_until_it_is_long_enough(at_least):
    state = MODEL.start()
    MODEL.open_bar(state, FOUR, 120.0)
    first, note = Note(0, 60, 79, 12), Note(0, 67, 50, 1)
    MODEL.hear_notes(state, (first,))
    heard = encode_bar(Bar(FOUR, 120.0, (first,)))
    _, logits = told([*heard, *encode_onset(note, first, V), V.velocity_id(50)])
    durations = logits[V.duration.start : V.duration.stop]
    steps = MODEL.expected_duration(state, note, first, at_least)
    if at_least > LONGEST_STEPS:
        assert steps == at_least
    else:
        probabilities = np.exp(durations - durations.max())
        steps_there_are = np.arange(1, LONGEST_STEPS + 1)
        expected = 0
        while expected < max(at_least, 1):
            longer = steps_there_are > expected
            mean = np.average(steps_there_are[longer], weights=probabilities[longer])
            expected = int(mean + 0.5)
        assert steps == expected


def test_a_velocity_without_a_token_is_refused():
    with pytest.raises(TokenError):
        MODEL.expected_duration(MODEL.start(), Note(0, 60, 0, 1), None, 1)
