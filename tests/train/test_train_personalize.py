"""A state is learnt from a few pieces, and is a memory of the model."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

import rwkv_music_train.personalize as module  # noqa: E402
from rwkv_music_train.commands.models import personalize  # noqa: E402
from rwkv_music_train.personalize import (  # noqa: E402
    HEARD_LENGTH,
    SHARES,
    UNCHECKED_SHARE,
    TuneOptions,
    heard_states,
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
FEW = TuneOptions(steps=12, batch=2, length=64, rate=0.1, check_every=4)


def music(weights):
    return RwkvMusicModel(NumpyEngine(weights), V, "model", weights.fingerprint)


def test_a_tuned_state_lowers_the_loss_of_another_piece_and_leaves_the_weights():
    made = model(shaken=0.1)
    weights = weights_of(made)
    before = {name: tensor.copy() for name, tensor in weights.tensors.items()}
    losses = []
    tuned = tune_state(weights, [piece(s) for s in range(3)], FEW, losses.append)
    assert len(tuned.gains) == 3
    assert tuned.gain > 0.05
    assert tuned.share in SHARES
    assert tuned.steps in (4, 8, 12)
    assert len(losses) == 3 + 3 * FEW.steps + tuned.steps <= most_steps(3, FEW)
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


def gains_are(monkeypatch, by_share, by_look):
    """What each part kept aside gains: with every share of the heard state, then at every look."""
    gains = iter([gain for part in (*by_share, *by_look) for gain in part])
    monkeypatch.setattr(module._Fold, "gain", lambda *_: next(gains))


HEARD_HELPS = ((0, 0.1, 0.2, 0.1, 0.3), (0, 0.1, 0.3, 0.1, 0.2), (0, 0.3, 0.3, 0.2, -0.6))


@pytest.mark.parametrize(
    "gains",
    [
        ((0.0, -0.1, -0.2), (0.0, -0.1, -0.3), (0.0, -0.1, -0.1)),  # never better
        ((0.3, 0.4, 0.5), (-0.1, -0.2, -0.2), (0.0, 0.0, 0.0)),  # one piece alone is
    ],
)
def test_pieces_that_do_not_help_each_other_are_no_memory(monkeypatch, gains):
    """Where it may be chance that what is aside is told better than from the zero state."""
    gains_are(monkeypatch, [(0.0,) * len(SHARES)] * 3, gains)
    with pytest.raises(ConfigError, match="which may be chance"):
        tune_state(weights_of(model()), [piece(s) for s in range(3)], FEW)


def test_share_and_steps_are_those_that_helped_most(monkeypatch):
    """On the average over the pieces, not where one of them says so."""
    gains_are(monkeypatch, HEARD_HELPS, ((0.3, 0.4, 0.2), (0.4, 0.5, 0.3), (0.4, 0.6, 0.9)))
    tuned = tune_state(weights_of(model()), [piece(s) for s in range(3)], FEW)
    assert (tuned.share, tuned.steps) == (0.5, 8)
    assert tuned.gains == pytest.approx((0.4, 0.5, 0.6))


def test_where_tuning_may_help_by_chance_the_state_stays_as_it_was_heard(monkeypatch):
    gains_are(monkeypatch, HEARD_HELPS, ((0.3, 0.1, 0.1), (0.2, 0.1, 0.1), (0.3, 0.1, 0.1)))
    pieces = [piece(s) for s in range(3)]
    tuned = tune_state(weights_of(model()), pieces, FEW)
    assert (tuned.share, tuned.steps) == (0.5, 0)
    assert tuned.gains == pytest.approx((0.2, 0.3, 0.3))
    each = [heard_states(model().eval(), [one])[0] for one in pieces]
    for layer, heard in zip(tuned.states, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(layer, 0.5 * torch.stack(heard).mean(0))


def test_without_steps_nothing_is_tuned(monkeypatch):
    gains_are(monkeypatch, HEARD_HELPS, ())
    losses, untuned = [], TuneOptions(steps=0, length=64)
    tuned = tune_state(weights_of(model()), [piece(s) for s in range(3)], untuned, losses.append)
    assert (tuned.share, tuned.steps) == (0.5, 0)
    assert len(losses) == 3 == most_steps(3, untuned)


def test_two_pieces_are_too_few_to_look_and_are_heard_only():
    made, pieces = model(), [piece(0), piece(1, bars=30)]
    tuned = tune_state(weights_of(made), pieces, FEW)
    assert (tuned.share, tuned.steps, tuned.gains) == (UNCHECKED_SHARE, 0, ())
    each = [heard_states(made.eval(), [one])[0] for one in pieces]
    for layer, heard in zip(tuned.states, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(layer, UNCHECKED_SHARE * torch.stack(heard).mean(0))


def test_what_is_heard_is_the_mean_of_the_states_at_the_windows_ends():
    made = model(shaken=0.1).eval()
    windows = validation_windows([piece(3, 33)], V, HEARD_LENGTH, 0, 0)
    assert len({len(window.tokens) for window in windows}) > 1  # the last is shorter
    ends = []
    with torch.no_grad():
        for window in windows:
            _, states = made(torch.from_numpy(window.tokens[None, :-1]))
            ends.append([state.wkv_BHNN[0] for state in states])
    heard, loss = heard_states(made, [piece(3, 33)])
    for layer, several in zip(heard, zip(*ends, strict=True), strict=True):
        torch.testing.assert_close(layer, torch.stack(several).mean(0), rtol=1e-4, atol=1e-5)
    assert loss == pytest.approx(loss_from(made, windows, None)[0], rel=1e-5)


def test_without_pieces_there_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="no piece"):
        tune_state(weights_of(model()), [], FEW)


def test_a_step_moves_all_layers_together_as_far_as_the_rate_says():
    made = model(shaken=0.1).eval().requires_grad_(False)
    heard, _ = heard_states(made, [piece(0)])
    whole = torch.stack([state[0] for state in heard])
    ways = tuning(made, [piece(0)], heard, 0.5, FEW)
    before = 0.5 * whole
    lengths = []
    for states in ways:
        now = torch.stack([state[0] for state in states])
        lengths.append((now - before).norm().item())
        before = now
    rate = FEW.rate * whole.norm().item()
    assert lengths[0] == pytest.approx(rate, rel=1e-3)
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.05 * rate


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


def test_the_command_does_by_itself_what_the_options_say():
    """The command line must know its defaults before it imports torch."""
    defaults = {option.name: option.default for option in personalize.params}
    assert defaults["steps"] == TuneOptions().steps
    assert defaults["rate"] == TuneOptions().rate
