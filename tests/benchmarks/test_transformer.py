"""The transformer that is trained for comparison: causal, and blind beyond its window."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from benchmarks.transformer import Llama, llama_like, optimiser_of, parameters_of  # noqa: E402

SIZE = 50


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Llama(2, 64, SIZE).double()


def hidden(model, tokens_BT, resets_BT=None):
    rows = torch.arange(tokens_BT.numel())
    found, _ = model.hidden(tokens_BT, None, resets_BT, SimpleNamespace(rows=rows))
    return found.view(*tokens_BT.shape, -1)


def test_nothing_is_known_of_what_follows(model):
    tokens = torch.randint(0, SIZE, (2, 20))
    later = tokens.clone()
    later[:, 12:] = (later[:, 12:] + 1) % SIZE
    a, b = hidden(model, tokens), hidden(model, later)
    torch.testing.assert_close(a[:, :12], b[:, :12])
    assert not torch.allclose(a[:, 12:], b[:, 12:])


def test_what_stands_earlier_counts_and_so_does_its_place(model):
    tokens = torch.arange(10)[None]
    swapped = tokens.clone()
    swapped[0, 2], swapped[0, 3] = 3, 2
    assert not torch.allclose(hidden(model, tokens)[0, -1], hidden(model, swapped)[0, -1])


def test_packed_windows_are_as_if_alone(model):
    tokens = torch.randint(0, SIZE, (1, 24))
    resets = torch.zeros(1, 24, dtype=torch.bool)
    resets[0, [7, 15]] = True
    packed = hidden(model, tokens, resets)
    for start, stop in ((0, 7), (7, 15), (15, 24)):
        alone = hidden(model, tokens[:, start:stop])
        torch.testing.assert_close(packed[:, start:stop], alone)


def test_it_is_as_large_as_what_it_is_compared_with():
    made = llama_like(1_100_000, 128, 432)
    assert parameters_of(made) == pytest.approx(1_100_000, rel=0.1)


def test_matrices_decay_and_norms_do_not(model):
    from rwkv_music_train.config import OptimiserOptions

    optimiser = optimiser_of(model, OptimiserOptions(weight_decay=0.1))
    decayed, free = optimiser.param_groups
    assert {p.dim() for p in decayed["params"]} == {2}
    assert {p.dim() for p in free["params"]} == {1}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
