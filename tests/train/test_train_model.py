"""The trained model is the inference model; slicing and packing change no number."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train import model as model_module  # noqa: E402
from rwkv_music_train.batches import Batch, slice_of  # noqa: E402
from rwkv_music_train.kernels import wkv7  # noqa: E402
from rwkv_music_train.loss import Inputs, Objective, summed_loss  # noqa: E402
from rwkv_music_train.model import Rwkv7  # noqa: E402

from rwkv_music.model.config import ModelConfig  # noqa: E402
from rwkv_music.model.reference import ReferenceModel  # noqa: E402
from rwkv_music.model.weights import Weights, tensor_shapes  # noqa: E402

VOCABULARY = 50


def shaken_model(enn=False, layers=3, width=128):
    """A model none of whose tensors is at its start value: zeros would hide mistakes."""
    torch.manual_seed(1)
    config = ModelConfig.sized(layers, width, VOCABULARY, enn=enn)
    model = Rwkv7(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        model.emb.weight += torch.randn_like(model.emb.weight)
    return model


def random_ids(*shape, seed=2):
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def inputs_at(tokens_BT, rows, targets, resets=None):
    arrays = slice_of(np.array(rows), *tokens_BT.shape, None if resets is None else resets.numpy())
    return Inputs(tokens_BT, Inputs.kept_on(arrays), targets, resets)


@pytest.mark.parametrize("enn", [False, True])
def test_names_and_shapes_are_the_official_ones(enn):
    model = shaken_model(enn)
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    assert shapes == tensor_shapes(model.config)
    assert sum(t.numel() for t in model.parameters()) == model.config.parameters


@pytest.mark.parametrize("enn", [False, True])
def test_logits_equal_the_float64_reference(enn):
    model = shaken_model(enn).double()
    tensors = {n: t.detach().numpy() for n, t in model.state_dict().items()}
    reference = ReferenceModel(Weights(model.config, tensors))
    tokens = random_ids(1, 37)
    with torch.no_grad():
        ours, _ = model(tokens)
    state = reference.new_state()
    theirs = np.array([reference.step(state, int(token)) for token in tokens[0]])
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=0, atol=1e-9)


def test_a_state_carried_over_equals_one_pass():
    model = shaken_model().double()
    tokens = random_ids(2, 50)
    with torch.no_grad():
        whole, _ = model(tokens)
        first, states = model(tokens[:, :21])
        second, _ = model(tokens[:, 21:], states=states)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("enn", [False, True])
def test_windows_packed_into_a_row_do_not_see_each_other(enn):
    model = shaken_model(enn).double()
    tokens = random_ids(1, 60)
    starts = (0, 23, 24, 41, 60)
    resets = torch.zeros(1, 60, dtype=torch.bool)
    resets[0, list(starts[1:-1])] = True
    with torch.no_grad():
        packed, ends = model.hidden(tokens, None, resets)
        alone = [model.hidden(tokens[:, a:b]) for a, b in itertools.pairwise(starts)]
    wanted = torch.cat([hidden for hidden, _ in alone], 1)
    torch.testing.assert_close(packed, wanted, rtol=0, atol=1e-10)
    for got, want in zip(ends, alone[-1][1], strict=True):
        torch.testing.assert_close(got.wkv_BHNN, want.wkv_BHNN, rtol=0, atol=1e-10)
        torch.testing.assert_close(got.ffn_shift_BC, want.ffn_shift_BC, rtol=0, atol=1e-10)


@pytest.mark.parametrize("enn", [False, True])
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_slice_is_what_the_whole_would_have_been(enn, carried, packed):
    """Hidden states of the rows, end states, and through them later tokens."""
    model = shaken_model(enn).double()
    tokens = random_ids(3, 32)
    resets = None
    if packed:
        resets = torch.zeros(3, 32, dtype=torch.bool)
        resets[0, 7] = resets[2, 31] = resets[1, 16] = True
    states = model(random_ids(3, 9, seed=5))[1] if carried else None
    rows = np.array([0, 6, 7, 8, 31, 32, 48, 49, 90, 95])
    kept = Inputs.kept_on(slice_of(rows, 3, 32, None if resets is None else resets.numpy()))
    with torch.no_grad():
        whole, ends = model.hidden(tokens, states, resets)
        sliced, ends_of_slice = model.hidden(tokens, states, resets, kept)
        torch.testing.assert_close(
            sliced, whole.reshape(96, -1)[torch.from_numpy(rows)], rtol=0, atol=1e-10
        )
        later = random_ids(3, 5, seed=6)
        torch.testing.assert_close(
            model(later, ends_of_slice)[0], model(later, ends)[0], rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("enn", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_sliced_loss_has_the_gradients_of_the_full_masked_loss(enn, recompute):
    model = shaken_model(enn)
    tokens, targets = random_ids(2, 48), random_ids(2, 48, seed=4)
    rows = torch.tensor([3, 4, 5, 40, 41, 60, 95])
    model.recompute = recompute
    summed_loss(model, inputs_at(tokens, rows.tolist(), targets.reshape(-1)[rows])).backward()
    sliced = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.recompute = False
    model.zero_grad()
    masked = torch.full((96,), -100)
    masked[rows] = targets.reshape(-1)[rows]
    logits, _ = model(tokens)
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(96, -1), masked, ignore_index=-100, reduction="sum"
    )
    loss.backward()
    scale = max(float(g.abs().max()) for g in sliced.values())
    for name, parameter in model.named_parameters():
        difference = (parameter.grad - sliced[name]).abs().max()
        assert difference <= 1e-6 * scale, name


def test_a_batch_without_targets_has_no_loss_and_no_gradient():
    model = shaken_model()
    loss = summed_loss(model, inputs_at(random_ids(1, 16), np.empty(0, int), torch.zeros(0).long()))
    loss.backward()
    assert loss.item() == 0
    assert all(not p.grad.any() for p in model.parameters() if p.grad is not None)


def test_gradients_reach_an_initial_state():
    model = shaken_model().double()
    _, states = model(random_ids(1, 8))
    start = states[1].wkv_BHNN.detach().requires_grad_()
    states[1].wkv_BHNN = start
    tokens = random_ids(1, 16)
    inputs = inputs_at(tokens, [5, 15], random_ids(2, seed=8))

    def loss():
        return Objective(model)(
            inputs, [s.detached() if s is not states[1] else s for s in states]
        )[0]

    loss().backward()
    place = (0, 1, 3, 7)
    step = 1e-5
    with torch.no_grad():
        start[place] += step
        above = loss().item()
        start[place] -= 2 * step
        below = loss().item()
    assert start.grad[place].item() == pytest.approx((above - below) / (2 * step), rel=1e-3)


def test_rows_and_targets_of_different_number_are_refused():
    tokens = torch.zeros((1, 16), dtype=torch.long)
    with pytest.raises(ValueError, match="3 rows of hidden states for 2 targets"):
        summed_loss(shaken_model(), inputs_at(tokens, [0, 1, 2], torch.zeros(2).long()))


def test_batch_and_inputs_hold_the_same():
    batch = Batch(np.zeros((2, 16), np.int64), slice_of(np.array([1, 20]), 2, 16), np.array([7, 9]))
    inputs = Inputs.of(batch)
    assert inputs.kept.rows.tolist() == [1, 20]
    assert inputs.targets_R.tolist() == [7, 9]
    assert inputs.resets_BT is None


@pytest.mark.parametrize("in_bfloat16", [False, True])
def test_the_recurrence_reads_numbers_as_precise_as_the_products(monkeypatch, in_bfloat16):
    """In bfloat16 its kernel moves half the bytes; one wider input would widen all of them."""
    seen = []

    def recorded(*arguments):
        seen.extend(x.dtype for x in arguments[:6])
        return wkv7(*arguments)

    monkeypatch.setattr(model_module, "wkv7", recorded)
    model = shaken_model()
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
        model(random_ids(1, 5))
    assert seen == [torch.bfloat16 if in_bfloat16 else torch.float32] * (6 * 3)
