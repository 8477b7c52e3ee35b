"""RWKV-7 (x070), and RWKV-8's `enn`, in float64, one token at a time: the truth for every engine.

As close to the equations as it can be, and as slow. Decay unit: `w` is the factor itself, in
(0.545, 1). State layout: S[value i, key j] for each head. Source of the equations: Peng et al.,
"RWKV-7 Goose", and the official inference code's conventions (ln0 applies to the embedding).

Legend: C width, H heads, N = 64 head size, V vocabulary; x_C is a vector of length C.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np
from numpy.typing import NDArray

from .config import HEAD_SIZE, ModelConfig
from .weights import Weights

F64 = NDArray[np.float64]


class ReferenceModel:
    """The engine's interface (see engine/base.py) on float64 states of the same layout."""

    name = "reference"

    def __init__(self, weights: Weights) -> None:
        self.config: ModelConfig = weights.config
        self._weights: dict[str, F64] = {
            name: tensor.astype(np.float64).reshape(tensor.shape[-2:] if tensor.ndim < 3 else -1)
            for name, tensor in weights.tensors.items()
        }

    def new_state(self) -> F64:
        return np.zeros(self.config.state_size)

    def prefill(self, state: F64, tokens: Sequence[int]) -> F64:
        for token in tokens:
            logits = self.step(state, token)
        return logits

    def step(self, state: F64, token: int) -> F64:
        """Hear one token: moves the state on in place, returns the logits [V]."""
        z = self._weights
        x_C = self._layer_norm(z["emb.weight"][token], "blocks.0.ln0")
        v_first_C = np.empty_like(x_C)
        for i, layer in enumerate(np.split(state, self.config.layers)):
            wkv, att_C, ffn_C = np.split(layer, (-2 * self.config.width, -self.config.width))
            wkv_HNN = wkv.reshape(self.config.heads, HEAD_SIZE, HEAD_SIZE)
            ln1_C = self._layer_norm(x_C, f"blocks.{i}.ln1")
            x_C = x_C + self._time_mix(i, ln1_C, att_C, wkv_HNN, v_first_C)
            ln2_C = self._layer_norm(x_C, f"blocks.{i}.ln2")
            x_C = x_C + self._channel_mix(i, ln2_C, ffn_C, token)
        return z["head.weight"] @ self._layer_norm(x_C, "ln_out")

    def _time_mix(self, i: int, x_C: F64, shift_C: F64, wkv_HNN: F64, v_first_C: F64) -> F64:
        p = {n.split(".", 3)[3]: t for n, t in self._weights.items() if f"blocks.{i}.att." in n}
        dx_C = shift_C - x_C
        shift_C[:] = x_C
        x = {s: x_C + dx_C * p[f"x_{s}"] for s in "rwkvag"}

        r_C = p["receptance.weight"] @ x["r"]
        k_C = p["key.weight"] @ x["k"]
        v_C = p["value.weight"] @ x["v"]
        u_C = p["w0"] + np.tanh(x["w"] @ p["w1"]) @ p["w2"]
        w_C = np.exp(-exp(-0.5) * sigmoid(u_C))
        if i == 0:
            v_first_C[:] = v_C
        else:
            v_C = v_C + (v_first_C - v_C) * sigmoid(p["v0"] + x["v"] @ p["v1"] @ p["v2"])
        a_C = sigmoid(p["a0"] + x["a"] @ p["a1"] @ p["a2"])
        g_C = sigmoid(x["g"] @ p["g1"]) @ p["g2"]

        kk_HN = heads(k_C * p["k_k"])
        kk_HN = kk_HN / np.maximum(np.linalg.norm(kk_HN, axis=1, keepdims=True), 1e-12)
        k_C = k_C * (1 + (a_C - 1) * p["k_a"])

        y_HN = np.empty_like(kk_HN)
        r_HN, w_HN, k_HN, v_HN, a_HN = map(heads, (r_C, w_C, k_C, v_C, a_C))
        for h, (S, r, w, k, v, a, kk) in enumerate(
            zip(wkv_HNN, r_HN, w_HN, k_HN, v_HN, a_HN, kk_HN, strict=True)
        ):
            S[:] = S @ np.diag(w) + np.outer(S @ -kk, kk * a) + np.outer(v, k)
            y_HN[h] = S @ r
        y_HN = normalise(y_HN, 64e-5)
        y_C = y_HN.reshape(-1) * p["ln_x.weight"] + p["ln_x.bias"]
        bonus_H1 = (r_HN * k_HN * p["r_k"].reshape(r_HN.shape)).sum(axis=1, keepdims=True)
        y_C = y_C + (bonus_H1 * v_HN).reshape(-1)
        out_C: F64 = p["output.weight"] @ (y_C * g_C)
        return out_C

    def _channel_mix(self, i: int, x_C: F64, shift_C: F64, token: int) -> F64:
        z, ffn = self._weights, f"blocks.{i}.ffn"
        k_C = x_C + (shift_C - x_C) * z[f"{ffn}.x_k"]
        shift_C[:] = x_C
        out_C: F64 = z[f"{ffn}.value.weight"] @ np.maximum(z[f"{ffn}.key.weight"] @ k_C, 0) ** 2
        return out_C * z[f"{ffn}.enn.weight"][token] if self.config.enn else out_C

    def _layer_norm(self, x_C: F64, name: str) -> F64:
        z = self._weights
        return normalise(x_C, 1e-5) * z[f"{name}.weight"] + z[f"{name}.bias"]


def heads(x_C: F64) -> F64:
    return x_C.reshape(-1, HEAD_SIZE)


def normalise(x: F64, eps: float) -> F64:
    """To mean 0 and variance 1 along the last axis."""
    x = x - x.mean(axis=-1, keepdims=True)
    variance: F64 = (x * x).mean(axis=-1, keepdims=True)
    return x / np.sqrt(variance + eps)


def sigmoid(x: F64) -> F64:
    return 1 / (1 + np.exp(-x))
