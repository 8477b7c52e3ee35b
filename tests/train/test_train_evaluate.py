"""Losses of parts make up the whole; contexts change, targets do not; an old state is measured."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.evaluate import (  # noqa: E402
    Network,
    Targets,
    losses_by_part,
    mean_loss,
    told,
    windows_by_set,
)
from rwkv_music_train.model import Rwkv7  # noqa: E402
from rwkv_music_train.passages import passages, with_imprecise_context  # noqa: E402
from rwkv_music_train.strung import CHUNK, strung_losses  # noqa: E402
from rwkv_music_train.windows import sampled_kinds, target_places  # noqa: E402
from training_samples import piece  # noqa: E402

from rwkv_music.errors import ConfigError  # noqa: E402
from rwkv_music.model.config import ModelConfig  # noqa: E402
from rwkv_music.music import METERS, Meter  # noqa: E402
from rwkv_music.tokenizer import load_vocabulary  # noqa: E402

V = load_vocabulary()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = Rwkv7(ModelConfig.sized(2, 64, len(V)))
    for parameter in made.parameters():  # zeros hide what depends on the state
        parameter.data += 0.05 * torch.randn_like(parameter)
    return made


def pieces():
    return [piece(0), piece(1, 14, "3/4"), piece(2, 9)]


def test_each_targets_nats_are_those_of_the_mean(model):
    sets = windows_by_set(pieces(), V, 256, 2, 0)
    windows = [w for some in sets.values() for w in some]
    loss = told(Network(model, V), windows, V)
    mean, targets = mean_loss(model, windows, V)
    assert loss.targets == targets
    assert loss.nats == pytest.approx(mean, rel=1e-5)
    one_by_one = [Network(model, V).nats([w])[0] for w in windows]
    together = Network(model, V).nats(windows)
    for alone, among in zip(one_by_one, together, strict=True):
        np.testing.assert_allclose(alone, among, rtol=1e-4, atol=1e-5)


def test_parts_make_up_the_whole(model):
    windows = windows_by_set(pieces(), V, 256, 2, 0)["samples"]
    targets = Targets.of(windows, V)
    nats = np.concatenate(Network(model, V).nats(windows))
    whole = targets.loss(nats, V)
    parts = losses_by_part(nats, targets, {"samples": len(windows)}, V)
    assert set(parts["meter"]) == {"4/4", "3/4"}
    assert set(parts["kind of token"]) == {"pitch", "duration", "velocity", "position", "bar"}
    for found in parts.values():
        assert sum(loss.targets for loss in found.values()) == whole.targets
        assert sum(loss.notes for loss in found.values()) == whole.notes
        total = sum(loss.nats * loss.targets for loss in found.values())
        assert total == pytest.approx(whole.nats * whole.targets)


def test_a_bar_line_belongs_to_the_bar_that_it_ends():
    windows = windows_by_set([piece(1, 5, "3/4")], V, 512, 1, 0)["samples"]
    assert set(Targets.of(windows, V).meter) == {METERS.index(Meter.parse("3/4"))}


def test_more_context_leaves_the_targets():
    places = passages(pieces(), 3, 6, 2)
    assert len(places) == 3
    for place in places:
        told_tokens = set()
        for bars in (1, 2, 6):
            window = place.after(bars, V)
            told_tokens.add(tuple(window.tokens[window.first_target :]))
            assert (window.tokens[: window.first_target] == V.bar).sum() == bars
        assert len(told_tokens) == 1
    with pytest.raises(ConfigError, match="no piece has 40 bars"):
        passages(pieces(), 3, 38, 2)


def test_an_imprecise_context_moves_notes_and_leaves_what_is_told():
    window = passages(pieces(), 1, 6, 2)[0].after(6, V)
    shaky = with_imprecise_context(window, V, 0.3)
    ours, theirs = (w.tokens[target_places(w, sampled_kinds(V))] for w in (window, shaky))
    assert len(ours) > 50
    np.testing.assert_array_equal(ours, theirs)
    context = window.tokens[: window.first_target]
    assert not np.array_equal(context, shaky.tokens[: shaky.first_target])
    alone = passages(pieces(), 1, 6, 2)[0].after(0, V)
    assert with_imprecise_context(alone, V, 0.3) is alone


def test_an_old_state_is_measured_against_a_fresh_one(model):
    some = [piece(seed, 21) for seed in range(6)]
    (age,) = strung_losses(model, some, V, CHUNK, strings=2, probes=1)
    assert age.tokens == CHUNK
    assert age.old.targets == age.fresh.targets > 100
    assert age.old.nats != age.fresh.nats


def test_a_model_that_forgets_at_once_is_as_good_old_as_fresh():
    """With nothing but zeros behind its embedding every state is the same."""
    blank = Rwkv7(ModelConfig.sized(1, 64, len(V)))
    some = [piece(seed, 21) for seed in range(4)]
    ages = strung_losses(blank, some, V, 4 * CHUNK, strings=2, probes=1)
    assert [age.tokens for age in ages] == [CHUNK, 4 * CHUNK]
    for age in ages:
        assert age.old.nats == pytest.approx(age.fresh.nats, rel=1e-6)
