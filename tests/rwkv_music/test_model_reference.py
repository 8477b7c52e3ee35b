"""The reference against the public `rwkv` package, an implementation that is not ours."""

import importlib

import numpy as np
import pytest

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.reference import ReferenceModel

CONFIGS = [ModelConfig(3, 128, 432, 32, 32, 32, 64), ModelConfig(2, 192, 77, 8, 24, 16, 40)]


@pytest.fixture
def rwkv_package(monkeypatch):
    """The package as it is set up by its environment variables at import."""
    pytest.importorskip("torch")
    monkeypatch.setenv("RWKV_V7_ON", "1")
    monkeypatch.setenv("RWKV_JIT_ON", "0")
    monkeypatch.setenv("RWKV_CUDA_ON", "0")
    pytest.importorskip("rwkv")
    return importlib.import_module("rwkv.model")


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("kind", [ReferenceModel, NumpyEngine])
def test_logits_agree_with_the_rwkv_package(tmp_path, rwkv_package, config, kind):
    import torch

    weights = random_weights(config, seed=1)
    tensors = {name: torch.from_numpy(t.copy()) for name, t in weights.tensors.items()}
    torch.save(tensors, tmp_path / "weights.pth")
    oracle = rwkv_package.RWKV(str(tmp_path / "weights"), strategy="cpu fp32")
    tokens = np.random.default_rng(2).integers(0, config.vocabulary, 50).tolist()
    ours, theirs = kind(weights), None
    state = ours.new_state()
    for token in tokens:
        expected, theirs = oracle.forward([token], theirs)
        logits = ours.step(state, token)
        np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4, rtol=0)
    assert np.ptp(logits) > 3  # the weights are not trivial


def test_the_first_token_by_hand():
    """From zeros the state is v k^T and dx is -x: one head and one layer fit on a page."""
    config = ModelConfig(1, 64, 5, 3, 3, 3, 3)
    weights = random_weights(config, seed=3)
    z = {name: t.astype(np.float64).squeeze() for name, t in weights.tensors.items()}

    def norm(x, name, eps=1e-5):
        return (x - x.mean()) / np.sqrt(x.var() + eps) * z[name + ".weight"] + z[name + ".bias"]

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    a_, f_ = "blocks.0.att.", "blocks.0.ffn."
    emb = norm(z["emb.weight"][2], "blocks.0.ln0")
    x = norm(emb, "blocks.0.ln1")
    r, k, v = (
        z[a_ + name + ".weight"] @ (x * (1 - z[a_ + mix]))
        for name, mix in (("receptance", "x_r"), ("key", "x_k"), ("value", "x_v"))
    )
    a = sigmoid(z[a_ + "a0"] + (x * (1 - z[a_ + "x_a"])) @ z[a_ + "a1"] @ z[a_ + "a2"])
    g = sigmoid((x * (1 - z[a_ + "x_g"])) @ z[a_ + "g1"]) @ z[a_ + "g2"]
    k = k * (1 + (a - 1) * z[a_ + "k_a"])
    y = norm(v * (k @ r), a_ + "ln_x", 64e-5) + (r * k * z[a_ + "r_k"]).sum() * v
    h = emb + z[a_ + "output.weight"] @ (y * g)
    h2 = norm(h, "blocks.0.ln2")
    hidden = np.maximum(z[f_ + "key.weight"] @ (h2 * (1 - z[f_ + "x_k"])), 0) ** 2
    expected = z["head.weight"] @ norm(h + z[f_ + "value.weight"] @ hidden, "ln_out")

    model = ReferenceModel(weights)
    state = model.new_state()
    np.testing.assert_allclose(model.step(state, 2), expected, rtol=1e-10)
    np.testing.assert_allclose(state[:4096].reshape(64, 64), np.outer(v, k), rtol=1e-10)
    np.testing.assert_allclose(state[4096:4160], x, rtol=1e-10)
    np.testing.assert_allclose(state[4160:], h2, rtol=1e-10)
