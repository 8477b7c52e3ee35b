"""The PyTorch engine beyond the contract, on a processor."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rwkv_music.engine.numpy_engine import NumpyEngine  # noqa: E402
from rwkv_music.engine.torch_engine import TorchEngine  # noqa: E402
from rwkv_music.errors import ConfigError, TokenError  # noqa: E402
from rwkv_music.model import load_model  # noqa: E402
from rwkv_music.model.config import ModelConfig  # noqa: E402
from rwkv_music.model.random_weights import random_weights  # noqa: E402
from rwkv_music.model.rwkv import RwkvMusicModel  # noqa: E402
from rwkv_music.sampling import UNCHANGED, Sampling, draw_numpy  # noqa: E402
from rwkv_music.tokenizer import load_vocabulary  # noqa: E402
from rwkv_music.tokenizer.grammar import Ranges  # noqa: E402

CONFIG = ModelConfig(2, 128, 60, 8, 24, 40, 16)
WEIGHTS = random_weights(CONFIG, seed=3)


@pytest.fixture
def engine():
    return TorchEngine(WEIGHTS, device="cpu")


def test_states_move_between_engines(engine):
    numpy = NumpyEngine(WEIGHTS)
    theirs, ours = numpy.new_state(), engine.new_state()
    numpy.prefill(theirs, [1, 2, 3])
    ours[:] = theirs
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(engine.step(ours, 4), numpy.step(theirs, 4), atol=2e-5, rtol=2e-5)
    other = engine.new_state()
    other[:] = ours
    np.testing.assert_array_equal(other, ours)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.0},
        {"top_k": 3, "top_p": 1.0},
        {"min_p": 0.2, "top_p": 1.0},
        {"top_p": 0.5, "temperature": 1.5},
    ],
)
def test_step_and_draw_is_a_step_and_a_draw(engine, settings):
    sampling, rng = Sampling(**settings), np.random.default_rng(1)
    states = [engine.new_state() for _ in range(3)]
    tokens = [5, 6, 7]
    for _ in range(12):
        apart = [state.copy() for state in states]
        logits_BV = engine.step_batch(apart, tokens)
        starts = rng.integers(0, 50, 3)
        allowed = np.zeros((3, CONFIG.vocabulary), np.bool_)
        for row, start in zip(allowed, starts, strict=True):
            row[start : start + 10] = True
        u = rng.random(3)
        got = engine.step_and_draw(states, tokens, allowed, sampling, u)
        expected = [
            draw_numpy(logits, Ranges(start, start + 10, 0, 0, 0, False), UNCHANGED, sampling, x)
            for logits, start, x in zip(logits_BV, starts, u, strict=True)
        ]
        assert got == expected
        for state, other in zip(states, apart, strict=True):
            np.testing.assert_array_equal(state, other)
        tokens = got


def test_step_and_draw_wants_a_token_for_each_state(engine):
    allowed = np.ones((1, CONFIG.vocabulary), np.bool_)
    with pytest.raises(TokenError, match="step_and_draw"):
        engine.step_and_draw([engine.new_state()], [1, 2], allowed, Sampling(), [0.5])


def test_a_memory_of_its_states_can_be_kept():
    vocabulary = load_vocabulary()
    weights = random_weights(ModelConfig(1, 64, len(vocabulary), 8, 8, 8, 8), seed=1)
    model = RwkvMusicModel(TorchEngine(weights, device="cpu"), vocabulary)
    state = model.start()
    kept = {name: np.array(tensor) for name, tensor in model.tensors_of(state).items()}
    kept["state"] += 1
    again = model.state_of(kept)
    np.testing.assert_array_equal(again.engine, np.asarray(state.engine) + 1)


def test_a_gpu_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match="no CUDA device"):
        TorchEngine(WEIGHTS, device="cuda")


def test_it_can_be_chosen_and_is_not_loaded_unless():
    assert load_model(engine="torch").name == "starter (torch)"
    program = (
        "import sys; from rwkv_music.model import load_model; load_model();"
        "print('torch' in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert loaded.stdout.strip() == b"False"


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@needs_gpu
@pytest.mark.parametrize("length", [1, 15, 40])
def test_a_gpu_agrees_with_the_processor(engine, length):
    gpu = TorchEngine(WEIGHTS)
    tokens = np.random.default_rng(0).integers(0, CONFIG.vocabulary, length).tolist()
    state, truth = gpu.new_state(), engine.new_state()
    got, expected = gpu.prefill(state, tokens), engine.prefill(truth, tokens)
    assert np.square(got - expected).mean() < 0.02**2 * np.square(expected).mean()
    got = gpu.step_batch([state, state.copy(), gpu.new_state()], [1, 2, 3])
    expected = engine.step_batch([truth, truth.copy(), engine.new_state()], [1, 2, 3])
    assert np.square(got - expected).mean() < 0.02**2 * np.square(expected).mean()


@needs_gpu
def test_a_gpu_draws_what_is_allowed():
    gpu = TorchEngine(WEIGHTS)
    allowed = np.zeros((2, CONFIG.vocabulary), np.bool_)
    allowed[0, 3] = allowed[1, 9] = True
    states = [gpu.new_state(), gpu.new_state()]
    assert gpu.step_and_draw(states, [1, 2], allowed, Sampling(), [0.3, 0.9]) == [3, 9]
