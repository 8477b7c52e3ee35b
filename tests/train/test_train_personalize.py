"""An initial state is learnt from a few pieces, and is a memory of the model."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

import rwkv_music_train.personalize as module  # noqa: E402
from rwkv_music_train.personalize import (  # noqa: E402
    TuneOptions,
    loss_from,
    started,
    tune_state,
    write_memory,
)
from rwkv_music_train.weights import model_of, weights_of  # noqa: E402
from rwkv_music_train.windows import validation_windows  # noqa: E402
from test_train_weights import model  # noqa: E402
from training_samples import piece  # noqa: E402

from rwkv_music.engine.numpy_engine import NumpyEngine  # noqa: E402
from rwkv_music.errors import CheckpointError, ConfigError  # noqa: E402
from rwkv_music.memory import load_memory  # noqa: E402
from rwkv_music.model.rwkv import RwkvMusicModel  # noqa: E402
from rwkv_music.tokenizer import load_vocabulary  # noqa: E402

V = load_vocabulary()
FEW = TuneOptions(steps=12, batch=2, length=64, rate=0.5, check_every=4)


def music(weights):
    return RwkvMusicModel(NumpyEngine(weights), V, "model", weights.fingerprint)


def test_a_tuned_state_lowers_the_loss_of_another_piece_and_leaves_the_weights():
    made = model(shaken=0.1)
    weights = weights_of(made)
    before = {name: tensor.copy() for name, tensor in weights.tensors.items()}
    states = tune_state(weights, [piece(s) for s in range(3)], FEW)
    windows = validation_windows([piece(50)], V, 64, 0, 6)
    plain, targets = loss_from(made, windows, None)
    tuned, same = loss_from(made, windows, states)
    assert same == targets > 50
    assert tuned < plain - 0.05
    for name, tensor in before.items():
        np.testing.assert_array_equal(made.state_dict()[name].numpy(), tensor)


def test_the_memory_is_the_state_that_the_model_would_be_in(tmp_path):
    weights = weights_of(model())
    generator = torch.Generator().manual_seed(3)
    states = [torch.randn(1, 64, 64, generator=generator) * 0.3 for _ in range(2)]
    path = tmp_path / "me.safetensors"
    write_memory(path, weights, states, {"pieces": 5})
    loaded = load_memory(path, music(weights))
    trained = model_of(weights).eval()
    with torch.no_grad():
        logits, ends = trained(torch.tensor([[V.bos]]), started(states, weights.config, 1))
    np.testing.assert_allclose(loaded.logits, logits[0, 0].numpy(), atol=1e-4)
    layers = loaded.engine.reshape(2, -1)
    for layer, end in zip(layers, ends, strict=True):
        np.testing.assert_allclose(layer[: 64 * 64], end.wkv_BHNN.numpy().ravel(), atol=1e-4)
    with pytest.raises(CheckpointError, match="a memory of"):
        load_memory(path, music(weights_of(model(seed=9))))


def test_pieces_that_do_not_help_each_other_are_no_memory(monkeypatch):
    """Where the piece aside is never told better than from the zero state."""
    losses = iter((1.0, 1.1, 1.0, 1.2))
    monkeypatch.setattr(module, "loss_from", lambda *_: (next(losses), 1))
    with pytest.raises(ConfigError, match="told best without a memory"):
        tune_state(weights_of(model()), [piece(s) for s in range(3)], FEW)


def test_without_pieces_there_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="no piece"):
        tune_state(weights_of(model()), [], FEW)
