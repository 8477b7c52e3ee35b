"""One suite for every engine, against the float64 reference."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from rwkv_music.engine import native
from rwkv_music.engine.native import NativeEngine, pack
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import TokenError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.reference import ReferenceModel


def torch_engine(weights):
    pytest.importorskip("torch")
    from rwkv_music.engine.torch_engine import TorchEngine

    return TorchEngine(weights, device="cpu")


def quantised(weights):
    """The file's own form: packed, at 32 bits, so that nothing is lost."""
    return NativeEngine(pack(weights, 32))


NEEDS_NATIVE = pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")
ENGINES = [
    pytest.param(NumpyEngine, id="numpy"),
    pytest.param(partial(NativeEngine, bits=32), id="native", marks=NEEDS_NATIVE),
    pytest.param(partial(NativeEngine, bits=32, threads=2), id="threads", marks=NEEDS_NATIVE),
    pytest.param(quantised, id="packed", marks=NEEDS_NATIVE),
    pytest.param(torch_engine, id="torch"),
]
SHAPES = {
    "one layer, one head": ModelConfig(1, 64, 11, 8, 8, 8, 8),
    "uneven ranks": ModelConfig(3, 128, 432, 8, 24, 40, 16),
    "enn": ModelConfig(2, 192, 30, 32, 32, 32, 64, enn=True),
    "deep": ModelConfig(12, 64, 50, 16, 16, 16, 16),
}
TOLERANCE = {"atol": 2e-5, "rtol": 2e-5}


@pytest.fixture(params=ENGINES)
def kind(request):
    return request.param


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def weights(request):
    return random_weights(request.param, seed=7)


@pytest.fixture
def engine(kind, weights):
    return kind(weights)


def tokens_of(engine, length, seed=0):
    return np.random.default_rng(seed).integers(0, engine.config.vocabulary, length).tolist()


def warm(engine, length=9, seed=5):
    state = engine.new_state()
    engine.prefill(state, tokens_of(engine, length, seed))
    return state


@pytest.mark.parametrize("length", [1, 2, 5, 17, 63, 150])
def test_prefill_equals_the_reference(engine, weights, length):
    reference = ReferenceModel(weights)
    tokens = tokens_of(engine, length)
    state, truth = engine.new_state(), reference.new_state()
    np.testing.assert_allclose(
        engine.prefill(state, tokens), reference.prefill(truth, tokens), **TOLERANCE
    )
    np.testing.assert_allclose(state, truth, atol=1e-4, rtol=1e-4)


def test_steps_equal_the_reference(engine, weights):
    reference = ReferenceModel(weights)
    state, truth = engine.new_state(), reference.new_state()
    for token in tokens_of(engine, 40):
        np.testing.assert_allclose(
            engine.step(state, token), reference.step(truth, token), **TOLERANCE
        )
    np.testing.assert_allclose(state, truth, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cuts", [(), (1,), (20,), (3, 4, 30)])
def test_hearing_in_pieces_is_hearing_at_once(engine, cuts):
    tokens = tokens_of(engine, 37)
    whole, pieces = engine.new_state(), engine.new_state()
    expected = engine.prefill(whole, tokens)
    edges = [0, *cuts, len(tokens)]
    for start, stop in pairwise(edges):
        logits = engine.prefill(pieces, tokens[start:stop])
    np.testing.assert_allclose(logits, expected, **TOLERANCE)
    np.testing.assert_allclose(pieces, whole, **TOLERANCE)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_batch_is_its_states_one_by_one(engine, batch):
    states = [warm(engine, 3 + i, seed=i) for i in range(batch)]
    singles = [state.copy() for state in states]
    tokens = tokens_of(engine, batch)
    logits_BV = engine.step_batch(states, tokens)
    assert logits_BV.shape == (batch, engine.config.vocabulary)
    for i in range(batch):
        np.testing.assert_allclose(logits_BV[i], engine.step(singles[i], tokens[i]), **TOLERANCE)
        np.testing.assert_allclose(states[i], singles[i], **TOLERANCE)


def test_a_batch_has_a_token_for_each_state(engine):
    for states, tokens in ([], []), ([engine.new_state()], [1, 2]), ([engine.new_state()], []):
        with pytest.raises(TokenError, match="step_batch"):
            engine.step_batch(states, tokens)


def test_a_copied_state_goes_its_own_way(engine):
    state = warm(engine)
    snapshot = state.copy()
    fork = state.copy()
    engine.prefill(fork, tokens_of(engine, 5, seed=1))
    np.testing.assert_array_equal(state, snapshot)
    first = engine.step(state, 1)
    restored = engine.new_state()
    restored[:] = snapshot
    np.testing.assert_array_equal(engine.step(restored, 1), first)


def test_logits_belong_to_the_caller(engine):
    state = warm(engine)
    first = engine.step(state, 1)
    kept = first.copy()
    engine.step(state, 2)
    engine.prefill(state, [3, 4])
    np.testing.assert_array_equal(first, kept)


def test_the_weights_are_not_kept_by_reference(kind, weights):
    copies = {name: tensor.copy() for name, tensor in weights.tensors.items()}
    engine = kind(weights)
    expected = engine.prefill(engine.new_state(), [1, 2])
    for tensor in weights.tensors.values():
        tensor[...] = np.nan
    try:
        np.testing.assert_array_equal(engine.prefill(engine.new_state(), [1, 2]), expected)
    finally:
        for name, tensor in weights.tensors.items():
            tensor[...] = copies[name]


def test_two_engines_do_not_share_anything(kind, weights):
    one, other = kind(weights), kind(random_weights(weights.config, seed=8))
    state = one.new_state()
    expected = one.prefill(state.copy(), [1, 2, 3])
    other.prefill(other.new_state(), [4, 5])
    np.testing.assert_array_equal(one.prefill(state, [1, 2, 3]), expected)


def test_dtypes_and_shapes(engine):
    state = engine.new_state()
    assert state.shape == (engine.config.state_size,)
    assert state.dtype == np.float32
    assert np.asarray(state).flags.c_contiguous
    assert not np.asarray(state).any()
    for logits in (engine.prefill(state, [1]), engine.step(state, 2)):
        assert logits.shape == (engine.config.vocabulary,)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()


@pytest.mark.parametrize("tokens", [[], [-1], [1, 432], [10**9]])
def test_wrong_tokens_leave_the_state_alone(engine, tokens):
    state = warm(engine)
    before = state.copy()
    with pytest.raises(TokenError):
        engine.prefill(state, tokens)
    np.testing.assert_array_equal(state, before)
    if tokens:
        with pytest.raises(TokenError):
            engine.step(state, tokens[-1])
        with pytest.raises(TokenError):
            engine.step_batch([state], tokens[-1:])
    np.testing.assert_array_equal(state, before)


def test_a_state_of_long_ago_stays_finite(engine):
    state = engine.new_state()
    for start in range(4):
        logits = engine.prefill(state, tokens_of(engine, 500, seed=start))
    assert np.isfinite(state).all()
    assert np.isfinite(logits).all()
    assert np.abs(state).max() < 1e3
