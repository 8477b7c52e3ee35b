"""An initial state is learnt from a few pieces, and is a memory of the model."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

import rwkv_music_train.personalize as module  # noqa: E402
from rwkv_music_train.personalize import (  # noqa: E402
    TuneOptions,
    loss_from,
    most_steps,
    started,
    tune_state,
    tuning,
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
FEW = TuneOptions(steps=12, batch=2, length=64, rate=3.0, check_every=4)


def music(weights):
    return RwkvMusicModel(NumpyEngine(weights), V, "model", weights.fingerprint)


def test_a_tuned_state_lowers_the_loss_of_another_piece_and_leaves_the_weights():
    made = model(shaken=0.1)
    weights = weights_of(made)
    before = {name: tensor.copy() for name, tensor in weights.tensors.items()}
    made_steps = []
    tuned = tune_state(weights, [piece(s) for s in range(3)], FEW, made_steps.append)
    assert len(tuned.gains) == 3
    assert tuned.gain > 0.05
    assert tuned.steps in (4, 8, 12)
    assert len(made_steps) == 3 * FEW.steps + tuned.steps <= most_steps(3, FEW)
    windows = validation_windows([piece(50)], V, 64, 0, 6)
    plain, targets = loss_from(made, windows, None)
    after, same = loss_from(made, windows, tuned.states)
    assert same == targets > 50
    assert after < plain - 0.05
    for name, tensor in before.items():
        np.testing.assert_array_equal(made.state_dict()[name].numpy(), tensor)


def test_the_memory_is_the_state_that_the_model_would_be_in(tmp_path):
    weights = weights_of(model())
    generator = torch.Generator().manual_seed(3)
    states = [torch.randn(1, 64, 64, generator=generator) * 0.3 for _ in range(2)]
    path = tmp_path / "me.safetensors"
    write_memory(path, weights, states, {"pieces": 5})
    loaded = load_memory(path, music(weights)).state
    trained = model_of(weights).eval()
    with torch.no_grad():
        logits, ends = trained(torch.tensor([[V.bos]]), started(states, weights.config, 1))
    np.testing.assert_allclose(loaded.logits, logits[0, 0].numpy(), atol=1e-4)
    layers = loaded.engine.reshape(2, -1)
    for layer, end in zip(layers, ends, strict=True):
        np.testing.assert_allclose(layer[: 64 * 64], end.wkv_BHNN.numpy().ravel(), atol=1e-4)
    with pytest.raises(CheckpointError, match="a memory of"):
        load_memory(path, music(weights_of(model(seed=9))))


def losses_are(monkeypatch, *of_each_piece):
    """Each piece's loss from the zero state, then at every look."""
    losses = iter([loss for piece in of_each_piece for loss in piece])
    monkeypatch.setattr(module, "loss_from", lambda *_: (next(losses), 1))


@pytest.mark.parametrize(
    "losses",
    [
        ((1.0, 1.1, 1.0, 1.2), (1.0, 1.1, 1.0, 1.2), (1.0, 1.1, 1.0, 1.2)),  # never better
        ((1.0, 0.7, 0.6, 0.5), (1.0, 1.1, 1.2, 1.2), (1.0, 1.0, 1.0, 1.0)),  # one piece alone is
    ],
)
def test_pieces_that_do_not_help_each_other_are_no_memory(monkeypatch, losses):
    """Where it may be chance that what is aside is told better than from the zero state."""
    losses_are(monkeypatch, *losses)
    with pytest.raises(ConfigError, match="which may be chance"):
        tune_state(weights_of(model()), [piece(s) for s in range(3)], FEW)


def test_tuning_ends_where_the_others_helped_most(monkeypatch):
    """On the average over the pieces, not where one of them says so."""
    losses_are(monkeypatch, (1, 0.8, 0.9, 1), (1, 0.9, 0.7, 1), (1, 0.9, 0.8, 0.5))
    tuned = tune_state(weights_of(model()), [piece(s) for s in range(3)], FEW)
    assert tuned.steps == 8
    assert tuned.gains == pytest.approx((0.1, 0.3, 0.2))


def test_two_pieces_are_too_few_to_look():
    tuned = tune_state(weights_of(model()), [piece(s) for s in range(2)], FEW)
    assert tuned.steps == FEW.steps
    assert tuned.gains == ()


def test_without_pieces_there_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="no piece"):
        tune_state(weights_of(model()), [], FEW)


def test_a_step_moves_all_layers_together_as_far_as_the_rate_says():
    made = model(shaken=0.1).eval().requires_grad_(False)
    ways = tuning(made, [piece(0)], FEW)
    before = torch.zeros(2, 64, 64)
    lengths = []
    for states in ways:
        now = torch.stack([state[0] for state in states])
        lengths.append((now - before).norm().item())
        before = now
    assert lengths[0] == pytest.approx(FEW.rate, rel=1e-3)
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.05 * FEW.rate


def test_windows_told_together_have_the_loss_of_windows_told_alone():
    made = model(shaken=0.1).eval()
    generator = torch.Generator().manual_seed(3)
    states = [torch.randn(1, 64, 64, generator=generator) for _ in range(2)]
    windows = validation_windows([piece(50, 7), piece(51, 12)], V, 64, 0, 0)
    assert len(windows) > 9
    alone = [loss_from(made, [window], states) for window in windows]
    nats, targets = loss_from(made, windows, states)
    assert targets == sum(count for _, count in alone)
    assert nats == pytest.approx(sum(loss * count for loss, count in alone) / targets, rel=1e-5)
