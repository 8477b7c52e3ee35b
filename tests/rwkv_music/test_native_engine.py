"""What the native engine promises beyond the contract: the same bits, whatever the way."""

import subprocess
import sys
import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwkv_music.engine import native
from rwkv_music.engine.native import BITS, INSTRUCTION_SET_VARIABLE, NativeEngine
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.reference import ReferenceModel

pytestmark = pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")

SMALL = ModelConfig(2, 128, 37, 8, 24, 40, 16, enn=True)  # nothing in it fills its padding
MUSIC = ModelConfig(6, 256, 432, 32, 32, 32, 64)
LARGE = ModelConfig(1, 1280, 19, 8, 8, 8, 8)
LIMITS = {32: 1e-5, 16: 2e-2, 8: 5e-2}  # relative RMS of logits to float64


@pytest.fixture(params=native.instruction_sets())
def every_set(request, monkeypatch):
    monkeypatch.setenv(INSTRUCTION_SET_VARIABLE, request.param)
    return request.param


def tokens_of(config, length, seed=0):
    return np.random.default_rng(seed).integers(0, config.vocabulary, length).tolist()


def stepped(engine, state, tokens):
    for token in tokens:
        logits = engine.step(state, token)
    return logits


def relative_rms(got, truth):
    return float(np.sqrt(np.square(got - truth).mean() / np.square(truth).mean()))


@pytest.mark.parametrize("bits", BITS)
def test_prefill_step_and_batch_agree_to_the_bit(every_set, bits):
    engine = NativeEngine(random_weights(SMALL, seed=3), bits=bits)
    assert engine.instruction_set == every_set
    tokens = tokens_of(SMALL, 71)  # more than one block of a prefill
    steps, whole, pieces = (engine.new_state() for _ in range(3))
    expected = stepped(engine, steps, tokens)
    np.testing.assert_array_equal(engine.prefill(whole, tokens), expected)
    for start, stop in ((0, 1), (1, 4), (4, 9), (9, 71)):
        logits = engine.prefill(pieces, tokens[start:stop])
    np.testing.assert_array_equal(logits, expected)
    takes = [engine.new_state() for _ in range(7)]
    for token in tokens:
        logits_BV = engine.step_batch(takes, [token] * 7)
    for state, logits in zip(
        [whole, pieces, *takes], [expected, expected, *logits_BV], strict=True
    ):
        np.testing.assert_array_equal(state, steps)
        np.testing.assert_array_equal(logits, expected)


@given(cuts=st.lists(st.integers(0, 90), max_size=6), bits=st.sampled_from(BITS))
@settings(max_examples=20, deadline=None)
def test_cuts_are_not_heard(cuts, bits):
    engine = NativeEngine(random_weights(SMALL, seed=3), bits=bits)
    tokens = tokens_of(SMALL, 90, seed=2)
    whole, pieces = engine.new_state(), engine.new_state()
    expected = engine.prefill(whole, tokens)
    edges = sorted({0, *cuts, 90})
    for start, stop in pairwise(edges):
        logits = engine.prefill(pieces, tokens[start:stop])
    np.testing.assert_array_equal(logits, expected)
    np.testing.assert_array_equal(pieces, whole)


@pytest.mark.parametrize("bits", BITS)
def test_neighbours_in_a_batch_are_not_heard(bits):
    engine = NativeEngine(random_weights(SMALL, seed=3), bits=bits)
    states = [engine.new_state() for _ in range(70)]  # more than one block
    for i, state in enumerate(states):
        engine.prefill(state, tokens_of(SMALL, 3 + i % 5, seed=i))
    alone = [state.copy() for state in states]
    tokens = tokens_of(SMALL, 70, seed=9)
    logits_BV = engine.step_batch(states, tokens)
    for i, token in enumerate(tokens):
        np.testing.assert_array_equal(engine.step(alone[i], token), logits_BV[i])
        np.testing.assert_array_equal(alone[i], states[i])


@pytest.mark.parametrize("bits", BITS)
def test_forks_and_restored_states_agree_to_the_bit(bits):
    engine = NativeEngine(random_weights(SMALL, seed=3), bits=bits)
    state = engine.new_state()
    engine.prefill(state, tokens_of(SMALL, 20))
    fork, kept = state.copy(), state.copy()
    expected = stepped(engine, state, tokens_of(SMALL, 9, seed=1))
    np.testing.assert_array_equal(stepped(engine, fork, tokens_of(SMALL, 9, seed=1)), expected)
    state[:] = kept
    np.testing.assert_array_equal(stepped(engine, state, tokens_of(SMALL, 9, seed=1)), expected)


def test_a_model_too_large_for_a_cache_agrees_to_the_bit(every_set):
    """Its weights are asked for ahead; everything else is the same."""
    engine = NativeEngine(random_weights(LARGE, seed=3), bits=16)
    assert engine.bytes_per_token - 8 * LARGE.state_size > 32 << 20
    tokens = tokens_of(LARGE, 7)
    steps, whole = engine.new_state(), engine.new_state()
    expected = stepped(engine, steps, tokens)
    np.testing.assert_array_equal(engine.prefill(whole, tokens), expected)
    np.testing.assert_array_equal(whole, steps)
    fork = whole.copy()
    logits_BV = engine.step_batch([whole, fork], [5, 6])
    np.testing.assert_array_equal(engine.step(steps, 5), logits_BV[0])
    np.testing.assert_array_equal(whole, steps)


@pytest.mark.parametrize("bits", BITS)
def test_threads_change_no_bit(bits):
    weights = random_weights(MUSIC, seed=4)
    one, three = NativeEngine(weights, bits=bits), NativeEngine(weights, bits=bits, threads=3)
    ours, theirs = one.new_state(), three.new_state()
    tokens = tokens_of(MUSIC, 40)
    np.testing.assert_array_equal(one.prefill(ours, tokens), three.prefill(theirs, tokens))
    np.testing.assert_array_equal(one.step(ours, 5), three.step(theirs, 5))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("takes", [1, 2, 3, 5, 8, 70])
def test_takes_that_threads_share_are_those_of_one(takes):
    weights = random_weights(MUSIC, seed=4)
    one, three = NativeEngine(weights), NativeEngine(weights, threads=3)
    ours = [warm_state(one, take) for take in range(takes)]
    theirs = [state.copy() for state in ours]
    for tokens in np.random.default_rng(takes).integers(0, MUSIC.vocabulary, (20, takes)).tolist():
        np.testing.assert_array_equal(
            one.step_batch(ours, tokens), three.step_batch(theirs, tokens)
        )
    np.testing.assert_array_equal(ours, theirs)


def warm_state(engine, seed):
    state = engine.new_state()
    engine.prefill(state, tokens_of(engine.config, 4, seed=seed))
    return state


@pytest.mark.parametrize("bits", LIMITS)
def test_logits_are_near_the_reference(every_set, bits):
    weights = random_weights(MUSIC, seed=7)
    engine, reference = NativeEngine(weights, bits=bits), ReferenceModel(weights)
    tokens = tokens_of(MUSIC, 12)
    state, truth = engine.new_state(), reference.new_state()
    got = [engine.step(state, token) for token in tokens]
    expected = [reference.step(truth, token) for token in tokens]
    assert relative_rms(np.array(got), np.array(expected)) < LIMITS[bits]
    assert relative_rms(state, truth) < LIMITS[bits]


def test_four_bits_are_four_bits():
    """Random weights are the worst case: nothing in them is small. It has to be recognisable."""
    weights = random_weights(MUSIC, seed=7)
    engine, reference = NativeEngine(weights, bits=4), ReferenceModel(weights)
    tokens = tokens_of(MUSIC, 12)
    logits = engine.prefill(engine.new_state(), tokens)
    assert relative_rms(logits, reference.prefill(reference.new_state(), tokens)) < 0.4
    assert engine.bytes_per_token < NativeEngine(weights, bits=8).bytes_per_token


@pytest.mark.parametrize("width", [64, 192, 320])
@pytest.mark.parametrize("ranks", [(1, 3, 5, 7), (15, 16, 17, 33), (64, 65, 63, 128)])
def test_odd_sizes(every_set, width, ranks):
    config = ModelConfig(2, width, 19, *ranks)
    weights = random_weights(config, seed=1)
    expected = NumpyEngine(weights).prefill(np.zeros(config.state_size, np.float32), [1, 18, 3])
    for bits, limit in LIMITS.items():
        engine = NativeEngine(weights, bits=bits)
        logits = engine.prefill(engine.new_state(), [1, 18, 3])
        assert logits.shape == (19,)
        assert relative_rms(logits, expected) < limit


def test_states_move_between_engines():
    weights = random_weights(SMALL, seed=5)
    ours, theirs = NativeEngine(weights, bits=32), NumpyEngine(weights)
    state = ours.new_state()
    ours.prefill(state, tokens_of(SMALL, 30))
    np.testing.assert_allclose(
        theirs.step(state.copy(), 3), ours.step(state.copy(), 3), atol=2e-5, rtol=2e-5
    )


def test_silent_activations_and_zero_weights_stay_finite():
    weights = random_weights(SMALL, seed=5)
    zeros = {name: np.zeros_like(tensor) for name, tensor in weights.tensors.items()}
    for bits in BITS:
        engine = NativeEngine(replace(weights, tensors=zeros), bits=bits)
        np.testing.assert_array_equal(engine.prefill(engine.new_state(), [0, 1]), np.zeros(37))


@pytest.mark.parametrize("own_threads", [1, 2])
def test_several_callers_at_once(own_threads):
    engine = NativeEngine(random_weights(MUSIC, seed=6), threads=own_threads)
    tokens = tokens_of(MUSIC, 60)
    expected = engine.prefill(engine.new_state(), tokens)
    results = {}

    def call(name):
        for _ in range(5):
            states = [engine.new_state() for _ in range(3)]
            for token in tokens:
                results[name] = engine.step_batch(states, [token] * 3)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        np.testing.assert_array_equal(results[i], [expected] * 3)


def test_states_of_other_models_are_refused():
    engine = NativeEngine(random_weights(SMALL, seed=5))
    size = SMALL.state_size
    frozen = engine.new_state()
    frozen.setflags(write=False)
    for wrong in (
        np.zeros(size + 1, np.float32),
        np.zeros((1, size), np.float32),
        np.zeros(size, np.float64),
        np.zeros(2 * size, np.float32)[::2],
        frozen,
    ):
        with pytest.raises((TypeError, ValueError)):
            engine.step(wrong, 1)
        with pytest.raises((TypeError, ValueError)):
            engine.step_batch([engine.new_state(), wrong], [1, 2])


def test_settings_that_cannot_be_had(monkeypatch):
    weights = random_weights(SMALL, seed=5)
    with pytest.raises(ConfigError, match="bits: got 5"):
        NativeEngine(weights, bits=5)
    with pytest.raises(ConfigError, match="threads: got 0"):
        NativeEngine(weights, threads=0)
    monkeypatch.setenv(INSTRUCTION_SET_VARIABLE, "mmx")
    with pytest.raises(ConfigError, match=r"got 'mmx', this processor runs .*scalar"):
        NativeEngine(weights)


FEW = """
import os, resource
import numpy as np
from rwkv_music.engine.native import NativeEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights

weights = random_weights(ModelConfig(2, 128, 37, 8, 24, 40, 16))
alone = NativeEngine(weights)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * os.sysconf("SC_PAGE_SIZE") + (300 << 20)
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))  # their stacks do not fit
engine = NativeEngine(weights, threads=200)
resource.setrlimit(resource.RLIMIT_AS, before)
print(engine.threads)
tokens = [1, 5, 36, 7] * 5
ours, theirs = engine.new_state(), alone.new_state()
assert np.array_equal(engine.prefill(ours, tokens), alone.prefill(theirs, tokens))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are limited as Linux does it")
def test_where_the_system_gives_fewer_threads_those_do_it_all():
    done = subprocess.run([sys.executable, "-c", FEW], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) < 200


def test_what_does_not_fit_into_the_memory_is_refused():
    class Huge(dict):
        def __missing__(self, name):
            raise MemoryError

    weights = replace(random_weights(SMALL), tensors=Huge(), source="big.safetensors")
    with pytest.raises(CheckpointError, match=r"big\.safetensors: .* do not fit into the memory"):
        NativeEngine(weights)


def test_one_token_reads_each_weight_once():
    weights = random_weights(MUSIC)
    matrices = MUSIC.parameters - (MUSIC.vocabulary + 2) * MUSIC.width  # not the embedding
    state_bytes = 2 * 4 * MUSIC.state_size
    for bits in (32, 16, 8):
        read = NativeEngine(weights, bits=bits).bytes_per_token - state_bytes
        assert matrices * bits / 8 < read < 1.1 * matrices * bits / 8


def test_what_benchmarks_measure_against():
    from rwkv_music.engine import _native

    memory = _native.Memory(1_000_000)
    assert 999_000 < memory.bytes <= 1_000_000
    for threads in (1, 3):
        assert memory.read(500_000, threads) == 0
    assert _native.round_trip_ns() > 0


def test_memory_that_cannot_be_had_is_said_before_anything_is_packed(monkeypatch):
    weights = random_weights(SMALL)
    monkeypatch.setattr("os.sysconf", lambda name: 100, raising=False)
    with pytest.raises(CheckpointError, match="this machine has"):
        NativeEngine(weights)
