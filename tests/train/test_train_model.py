"""The trained model is the inference model: names, numbers, states; and slicing is exact."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.loss import Inputs, summed_loss  # noqa: E402
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
    tokens = torch.randint(0, VOCABULARY, (1, 37), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours, _ = model(tokens)
    state = reference.new_state()
    theirs = np.array([reference.step(state, int(token)) for token in tokens[0]])
    np.testing.assert_allclose(ours[0].numpy(), theirs, rtol=0, atol=1e-9)


def test_a_state_carried_over_equals_one_pass():
    model = shaken_model().double()
    tokens = torch.randint(0, VOCABULARY, (2, 50), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        whole, _ = model(tokens)
        first, states = model(tokens[:, :21])
        second, _ = model(tokens[:, 21:], states=states)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-10)


def test_sliced_loss_has_the_gradients_of_the_full_masked_loss():
    model = shaken_model()
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randint(0, VOCABULARY, (2, 48), generator=generator)
    targets = torch.randint(0, VOCABULARY, (2, 48), generator=generator)
    rows = torch.tensor([3, 4, 5, 40, 41, 60, 95])
    summed_loss(model, Inputs(tokens, rows, targets.reshape(-1)[rows])).backward()
    sliced = {n: p.grad.clone() for n, p in model.named_parameters()}
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


def test_rows_and_targets_of_different_number_are_refused():
    model = shaken_model()
    tokens = torch.zeros((1, 16), dtype=torch.long)
    with pytest.raises(ValueError, match="3 rows of logits for 2 targets"):
        summed_loss(model, Inputs(tokens, torch.arange(3), torch.zeros(2, dtype=torch.long)))
