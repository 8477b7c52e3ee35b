"""Weights as the NumPy engine wants them: stacked, transposed, constants folded in.

Legend: V vocabulary, C width, H heads, N = 64 head size, D the largest low-rank size (smaller ones
are padded with zeros), F = 4C. A leading 3 or 6 stacks what one matmul or one product does at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
from numpy.typing import NDArray

from ..model.config import HEAD_SIZE
from ..model.weights import Weights

F32 = NDArray[np.float32]

LAYER_NORM_EPS = 1e-5
GROUP_NORM_EPS = 64e-5
LOG_DECAY = -exp(-0.5)  # the strongest decay, as a logarithm


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer norm as `(x - mean) / sqrt(sum of squares + eps C) * weight + bias`: sqrt(C) is in the
    weight, so that a sum does for the variance."""

    weight_C: F32
    bias_C: F32

    @classmethod
    def fold(cls, tensors: Mapping[str, F32], name: str, size: int) -> Norm:
        weight = tensors[f"{name}.weight"] * np.float32(sqrt(size))
        return cls(weight, np.array(tensors[f"{name}.bias"]))


@dataclass(frozen=True, slots=True)
class Layer:
    """One block. The gates v, w, a pass through 0.5 + 0.5 tanh(x / 2) = sigmoid(x): the inner half
    is in `gate_out` and `gate_bias`, the outer ones in GATE_SCALE, for w times LOG_DECAY, for a
    times -1: it is -a that the recurrence takes."""

    ln1: Norm
    ln2: Norm
    ln_x: Norm  # over each head
    mix_61C: F32  # r, k, v, w, a, g
    rkv_3CC: F32  # [in, out]
    gate_in_3CD: F32  # v, w, a
    gate_out_3DC: F32
    gate_bias_31C: F32
    g1_CD: F32
    g2_DC: F32
    k_k_C: F32
    minus_k_a_C: F32
    one_minus_k_a_C: F32
    r_k_C: F32
    output_CC: F32  # [in, out]
    ffn_mix_C: F32
    ffn_key_CF: F32
    ffn_value_FC: F32
    enn_VC: F32 | None


GATE_SCALE_311: F32 = np.array([[[0.5]], [[0.5 * LOG_DECAY]], [[-0.5]]], np.float32)


def prepare_embedding(weights: Weights) -> F32:
    """emb [V, C] after ln0."""
    tensors = weights.tensors
    x = tensors["emb.weight"].astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.sqrt(np.square(x).mean(axis=1, keepdims=True) + LAYER_NORM_EPS)
    x = x * tensors["blocks.0.ln0.weight"] + tensors["blocks.0.ln0.bias"]
    return x.astype(np.float32)


def prepare_layer(weights: Weights, i: int) -> Layer:
    """Block i of the checkpoint, copied out of it."""
    c = weights.config.width
    prefix = f"blocks.{i}."
    names = [name for name in weights.tensors if name.startswith(prefix)]
    p = {name.removeprefix(prefix): weights.tensors[name] for name in names}

    def flat(name: str) -> F32:
        return p[name].reshape(-1).copy()

    def transposed(name: str) -> F32:
        return np.ascontiguousarray(p[name].T)

    gates = [name for name in "vwa" if f"att.{name}1" in p]  # layer 0 has no v: it stays zero
    rank = max(p[f"att.{name}1"].shape[1] for name in gates)
    gate_in = np.zeros((3, c, rank), np.float32)
    gate_out = np.zeros((3, rank, c), np.float32)
    gate_bias = np.zeros((3, 1, c), np.float32)
    for name in gates:
        row, first, second = "vwa".index(name), p[f"att.{name}1"], p[f"att.{name}2"]
        gate_in[row, :, : first.shape[1]] = first
        gate_out[row, : second.shape[0]] = second * np.float32(0.5)
        gate_bias[row] = p[f"att.{name}0"].reshape(1, c) * np.float32(0.5)
    return Layer(
        ln1=Norm.fold(p, "ln1", c),
        ln2=Norm.fold(p, "ln2", c),
        ln_x=Norm.fold(p, "att.ln_x", HEAD_SIZE),
        mix_61C=np.stack([p[f"att.x_{s}"].reshape(1, c) for s in "rkvwag"]),
        rkv_3CC=np.stack([p[f"att.{s}.weight"].T for s in ("receptance", "key", "value")]),
        gate_in_3CD=gate_in,
        gate_out_3DC=gate_out,
        gate_bias_31C=gate_bias,
        g1_CD=p["att.g1"] * np.float32(0.5),
        g2_DC=p["att.g2"] * np.float32(0.5),
        k_k_C=flat("att.k_k"),
        minus_k_a_C=-flat("att.k_a"),
        one_minus_k_a_C=1 - flat("att.k_a"),
        r_k_C=flat("att.r_k"),
        output_CC=transposed("att.output.weight"),
        ffn_mix_C=flat("ffn.x_k"),
        ffn_key_CF=transposed("ffn.key.weight"),
        ffn_value_FC=transposed("ffn.value.weight"),
        enn_VC=p["ffn.enn.weight"].copy() if weights.config.enn else None,
    )
