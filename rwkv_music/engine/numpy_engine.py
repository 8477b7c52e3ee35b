"""RWKV-7/8 in float32 NumPy: the engine that runs wherever Python does.

One path serves all calls. Everything that is not recurrent is done for all rows at once; a row is
a token of a prefill, or a state of a batch. Use one BLAS thread (OPENBLAS_NUM_THREADS=1 before
NumPy is imported): the matrices are small, and OpenBLAS's threads spin while they wait.

Decay unit: the factor itself, in (0.545, 1). State layout: see base.py, S[value i, key j].
Legend: R rows, T tokens, B states, C width, H heads, N = 64 head size, F = 4C.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np

from ..errors import TokenError
from ..model.config import HEAD_SIZE
from ..model.weights import Weights, check_memory
from .base import EngineState, Logits
from .numpy_layers import (
    F32,
    GATE_SCALE_311,
    GROUP_NORM_EPS,
    LAYER_NORM_EPS,
    Layer,
    Norm,
    prepare_embedding,
    prepare_layer,
)

_LONGEST_PREFILL = 128  # tokens at once: bounds the memory of a prefill


class NumpyEngine:
    """Implements base.Engine. Weights are only read: a state has one caller at a time, the engine
    may have several."""

    name = "numpy"

    def __init__(self, weights: Weights) -> None:
        self.config = weights.config
        check_memory(4 * self.config.parameters, weights.source)
        c = self.config.width
        self._embedding_VC = prepare_embedding(weights)
        self._layers = [prepare_layer(weights, i) for i in range(self.config.layers)]
        self._ln_out = Norm.fold(weights.tensors, "ln_out", c)
        self._head_CV = np.ascontiguousarray(weights.tensors["head.weight"].T)
        self._mean_C = np.full(c, 1 / c, np.float32)

    def new_state(self) -> EngineState:
        return np.zeros(self.config.state_size, np.float32)

    def prefill(self, state: EngineState, tokens: Sequence[int]) -> Logits:
        if len(tokens) == 0:
            raise TokenError("prefill: got no token, expected one or more")
        self._check(tokens)
        for start in range(0, len(tokens), _LONGEST_PREFILL):
            x_TC = self._forward((state,), tokens[start : start + _LONGEST_PREFILL])
        logits_V: Logits = self._logits(x_TC[-1:])[0]
        return logits_V

    def step(self, state: EngineState, token: int) -> Logits:
        return self.prefill(state, (token,))

    def step_batch(self, states: Sequence[EngineState], tokens: Sequence[int]) -> Logits:
        if len(states) != len(tokens) or not tokens:
            raise TokenError(f"step_batch: got {len(states)} states, {len(tokens)} tokens")
        self._check(tokens)
        return self._logits(self._forward(states, tokens))

    def _check(self, tokens: Sequence[int]) -> None:
        if min(tokens) < 0 or max(tokens) >= self.config.vocabulary:
            raise TokenError(f"token ids: expected 0 to {self.config.vocabulary - 1}, got {tokens}")

    def _forward(self, states: Sequence[EngineState], tokens: Sequence[int]) -> F32:
        """Hidden rows [R, C]: of R tokens in one state, or of one token in each of R states."""
        c, h = self.config.width, self.config.heads
        ids = list(tokens)
        x_RC: F32 = self._embedding_VC[ids]
        v_first_RC: F32 | None = None
        end = 0
        for layer in self._layers:
            start, end = end, end + h * HEAD_SIZE * HEAD_SIZE
            wkvs = [state[start:end].reshape(h, HEAD_SIZE, HEAD_SIZE) for state in states]

            start, end = end, end + c
            ln_RC = self._layer_norm(x_RC, layer.ln1)
            dx_RC = _difference(ln_RC, states, slice(start, end))
            mixed_RC, v_first_RC = self._time_mix(layer, ln_RC, dx_RC, wkvs, v_first_RC)
            x_RC += mixed_RC

            start, end = end, end + c
            ln_RC = self._layer_norm(x_RC, layer.ln2)
            dx_RC = _difference(ln_RC, states, slice(start, end))
            dx_RC *= layer.ffn_mix_C
            dx_RC += ln_RC
            hidden_RF = _product(dx_RC, layer.ffn_key_CF)
            np.maximum(hidden_RF, 0, out=hidden_RF)
            hidden_RF *= hidden_RF
            mixed_RC = _product(hidden_RF, layer.ffn_value_FC)
            if layer.enn_VC is not None:
                mixed_RC *= layer.enn_VC[ids]
            x_RC += mixed_RC
        return x_RC

    def _time_mix(
        self, layer: Layer, x_RC: F32, dx_RC: F32, wkvs: Sequence[F32], v_first_RC: F32 | None
    ) -> tuple[F32, F32]:
        """The block's output and the first layer's values; moves each state's wkv on in place."""
        rows_HN = (len(x_RC), self.config.heads, HEAD_SIZE)
        mixed_6RC = layer.mix_61C * dx_RC
        mixed_6RC += x_RC
        r_RC, k_RC, v_RC = _product(mixed_6RC[:3], layer.rkv_3CC)
        low_3RD = _product(mixed_6RC[2:5], layer.gate_in_3CD)
        np.tanh(low_3RD[1], out=low_3RD[1])
        gate_3RC = _product(low_3RD, layer.gate_out_3DC)
        gate_3RC += layer.gate_bias_31C
        np.tanh(gate_3RC, out=gate_3RC)
        gate_3RC *= GATE_SCALE_311
        gate_3RC += GATE_SCALE_311
        residual_RC, w_RC, minus_a_RC = gate_3RC
        np.exp(w_RC, out=w_RC)
        g_RD = _product(mixed_6RC[5], layer.g1_CD)
        np.tanh(g_RD, out=g_RD)
        g_RD += 1
        g_RC = _product(g_RD, layer.g2_DC)
        if v_first_RC is None:
            v_first_RC = v_RC
        else:
            residual_RC *= v_first_RC - v_RC
            v_RC += residual_RC

        kk_RHN = (k_RC * layer.k_k_C).reshape(rows_HN)
        length_RH = np.sqrt(np.vecdot(kk_RHN, kk_RHN))
        kk_RHN /= np.maximum(length_RH, 1e-12)[..., None]
        k_RC *= minus_a_RC * layer.minus_k_a_C + layer.one_minus_k_a_C
        r_RHN, k_RHN, v_RHN = r_RC.reshape(rows_HN), k_RC.reshape(rows_HN), v_RC.reshape(rows_HN)
        left_RHN2 = np.empty((*rows_HN, 2), np.float32)
        left_RHN2[..., 1] = v_RHN
        right_RH2N = np.empty((*rows_HN[:2], 2, HEAD_SIZE), np.float32)
        np.multiply(kk_RHN, minus_a_RC.reshape(rows_HN), out=right_RH2N[:, :, 0])
        right_RH2N[:, :, 1] = k_RHN

        y_RHN = _recur(wkvs, r_RHN, w_RC.reshape(rows_HN), kk_RHN, left_RHN2, right_RH2N)
        y_RHN -= np.vecdot(y_RHN, _MEAN_N)[..., None]
        y_RHN /= np.sqrt(np.vecdot(y_RHN, y_RHN) + GROUP_NORM_EPS * HEAD_SIZE)[..., None]
        y_RC = y_RHN.reshape(x_RC.shape)
        y_RC *= layer.ln_x.weight_C
        y_RC += layer.ln_x.bias_C
        r_RC *= layer.r_k_C
        v_scaled_RHN = np.vecdot(r_RHN, k_RHN)[..., None] * v_RHN
        y_RC += v_scaled_RHN.reshape(x_RC.shape)
        y_RC *= g_RC
        return _product(y_RC, layer.output_CC), v_first_RC

    def _layer_norm(self, x_RC: F32, norm: Norm) -> F32:
        y_RC: F32 = x_RC - np.vecdot(x_RC, self._mean_C)[:, None]
        eps = LAYER_NORM_EPS * self.config.width
        y_RC /= np.sqrt(np.vecdot(y_RC, y_RC) + eps)[:, None]
        y_RC *= norm.weight_C
        y_RC += norm.bias_C
        return y_RC

    def _logits(self, x_RC: F32) -> Logits:
        logits_RV: Logits = _product(self._layer_norm(x_RC, self._ln_out), self._head_CV)
        return logits_RV


_MEAN_N = np.full(HEAD_SIZE, 1 / HEAD_SIZE, np.float32)


def _difference(x_RC: F32, states: Sequence[EngineState], place: slice) -> F32:
    """What stood before each row, less the row. `place` is where a state keeps its last row."""
    dx_RC = np.empty_like(x_RC)
    if len(states) == 1:
        dx_RC[0] = states[0][place]
        dx_RC[1:] = x_RC[:-1]
        states[0][place] = x_RC[-1]
    else:
        for before_C, x_C, state in zip(dx_RC, x_RC, states, strict=True):
            before_C[:] = state[place]
            state[place] = x_C
    dx_RC -= x_RC
    return dx_RC


def _product(x: F32, w: F32) -> F32:
    """x @ w, [..., R, in] by [..., in, out]. Few rows go one by one: up to seven, OpenBLAS's
    matrix-by-matrix product takes longer than as many vector-by-matrix products."""
    rows = x.shape[-2]
    if 1 < rows < 8:
        few: F32 = np.matmul(x[..., None, :], w[..., None, :, :])[..., 0, :]
        return few
    many: F32 = np.matmul(x, w)
    return many


def _recur(
    wkvs: Sequence[F32], r_RHN: F32, w_RHN: F32, kk_RHN: F32, left_RHN2: F32, right_RH2N: F32
) -> F32:
    """S = S diag(w) - (S kk) (kk a)^T + v k^T for each row; y = S r after it. S moves in place.

    wkvs: S [H, N, N] of each row, or the one that all rows share. left: the columns S kk (filled
    in here) and v; right: the rows -kk a and k.
    """
    update_HNN = np.empty_like(wkvs[0])
    y_RHN1 = np.empty((*r_RHN.shape, 1), np.float32)
    rows = zip(
        repeat(wkvs[0]) if len(wkvs) == 1 else wkvs,
        r_RHN[..., None],
        w_RHN[:, :, None],
        kk_RHN[..., None],
        left_RHN2,
        right_RH2N,
        y_RHN1,
        strict=False,  # an endless repetition among them
    )
    for wkv_HNN, r_HN1, w_H1N, kk_HN1, left_HN2, right_H2N, y_HN1 in rows:
        np.matmul(wkv_HNN, kk_HN1, out=left_HN2[:, :, :1])
        np.multiply(wkv_HNN, w_H1N, out=wkv_HNN)
        np.matmul(left_HN2, right_H2N, out=update_HNN)
        np.add(wkv_HNN, update_HNN, out=wkv_HNN)
        np.matmul(wkv_HNN, r_HN1, out=y_HN1)
    return y_RHN1[..., 0]
