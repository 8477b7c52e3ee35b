"""RWKV-7/8 in float32 NumPy: the engine that runs wherever Python does.

One path serves all calls. Everything that is not recurrent is done for all rows at once; a row is
a token of a prefill, or a state of a batch. Use one BLAS thread (OPENBLAS_NUM_THREADS=1 before
NumPy is imported): the matrices are small, and OpenBLAS's threads spin while they wait.

Decay unit: the factor itself, in (0.545, 1). State layout: see base.py, S[value i, key j].
Legend: R rows, T tokens, B states, C width, H heads, N = 64 head size, F = 4C.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import TokenError
from ..model.config import HEAD_SIZE
from ..model.weights import Weights
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
        state_1S = state[None]
        for start in range(0, len(tokens), _LONGEST_PREFILL):
            x_TC = self._forward(state_1S, tokens[start : start + _LONGEST_PREFILL])
        logits_V: Logits = self._logits(x_TC[-1:])[0]
        return logits_V

    def step(self, state: EngineState, token: int) -> Logits:
        self._check((token,))
        logits_V: Logits = self._logits(self._forward(state[None], (token,)))[0]
        return logits_V

    def step_batch(self, states: Sequence[EngineState], tokens: Sequence[int]) -> Logits:
        self._check(tokens)
        states_BS = np.stack(states)
        logits_BV = self._logits(self._forward(states_BS, tokens))
        for state, moved in zip(states, states_BS, strict=True):
            state[:] = moved
        return logits_BV

    def _check(self, tokens: Sequence[int]) -> None:
        if not (min(tokens) >= 0 and max(tokens) < self.config.vocabulary):
            raise TokenError(f"token ids: expected 0 to {self.config.vocabulary - 1}, got {tokens}")

    def _forward(self, states_BS: F32, tokens: Sequence[int]) -> F32:
        """Hidden rows [R, C]: of R tokens in one state, or of one token in each of R states."""
        c, h = self.config.width, self.config.heads
        matrix = h * HEAD_SIZE * HEAD_SIZE
        x_RC: F32 = self._embedding_VC[list(tokens)]
        v_first_RC: F32 | None = None
        start = 0
        for layer in self._layers:
            shift = start + matrix
            wkv_BHNN = states_BS[:, start:shift].reshape(-1, h, HEAD_SIZE, HEAD_SIZE)
            before_BC = states_BS[:, shift : shift + c]
            start = shift + 2 * c

            ln_RC = self._layer_norm(x_RC, layer.ln1)
            dx_RC: F32 = _shifted(ln_RC, before_BC) - ln_RC
            before_BC[:] = ln_RC[-len(before_BC) :]
            mixed_RC, v_first_RC = self._time_mix(layer, ln_RC, dx_RC, wkv_BHNN, v_first_RC)
            x_RC += mixed_RC

            before_BC = states_BS[:, shift + c : start]
            ln_RC = self._layer_norm(x_RC, layer.ln2)
            dx_RC = _shifted(ln_RC, before_BC) - ln_RC
            before_BC[:] = ln_RC[-len(before_BC) :]
            dx_RC *= layer.ffn_mix_C
            dx_RC += ln_RC
            hidden_RF: F32 = dx_RC @ layer.ffn_key_CF
            np.maximum(hidden_RF, 0, out=hidden_RF)
            hidden_RF *= hidden_RF
            mixed_RC = hidden_RF @ layer.ffn_value_FC
            if layer.enn_VC is not None:
                mixed_RC *= layer.enn_VC[list(tokens)]
            x_RC += mixed_RC
        return x_RC

    def _time_mix(
        self, layer: Layer, x_RC: F32, dx_RC: F32, wkv_BHNN: F32, v_first_RC: F32 | None
    ) -> tuple[F32, F32]:
        """The block's output and the first layer's values; moves wkv on in place."""
        rows_HN = (len(x_RC), self.config.heads, HEAD_SIZE)
        mixed_6RC = layer.mix_61C * dx_RC
        mixed_6RC += x_RC
        r_RC, k_RC, v_RC = mixed_6RC[:3] @ layer.rkv_3CC
        low_3RD = mixed_6RC[2:5] @ layer.gate_in_3CD
        np.tanh(low_3RD[1], out=low_3RD[1])
        gate_3RC = low_3RD @ layer.gate_out_3DC
        gate_3RC += layer.gate_bias_31C
        np.tanh(gate_3RC, out=gate_3RC)
        gate_3RC *= GATE_SCALE_311
        gate_3RC += GATE_SCALE_311
        residual_RC, w_RC, a_RC = gate_3RC
        np.exp(w_RC, out=w_RC)
        g_RD = mixed_6RC[5] @ layer.g1_CD
        np.tanh(g_RD, out=g_RD)
        g_RD += 1
        g_RC = g_RD @ layer.g2_DC
        if v_first_RC is None:
            v_first_RC = v_RC
        else:
            residual_RC *= v_first_RC - v_RC
            v_RC += residual_RC

        kk_RHN = (k_RC * layer.k_k_C).reshape(rows_HN)
        length_RH = np.sqrt(np.vecdot(kk_RHN, kk_RHN))
        kk_RHN /= np.maximum(length_RH, 1e-12)[..., None]
        k_RC *= a_RC * layer.k_a_C + layer.one_minus_k_a_C
        r_RHN, w_RHN, k_RHN, v_RHN = (x.reshape(rows_HN) for x in (r_RC, w_RC, k_RC, v_RC))

        y_RHN = _recur(wkv_BHNN, r_RHN, w_RHN, k_RHN, v_RHN, kk_RHN, a_RC.reshape(rows_HN))
        y_RHN -= np.vecdot(y_RHN, _MEAN_N)[..., None]
        y_RHN /= np.sqrt(np.vecdot(y_RHN, y_RHN) + GROUP_NORM_EPS * HEAD_SIZE)[..., None]
        y_RC = y_RHN.reshape(x_RC.shape)
        y_RC *= layer.ln_x.weight_C
        y_RC += layer.ln_x.bias_C
        r_RC *= layer.r_k_C
        v_scaled_RHN = np.vecdot(r_RHN, k_RHN)[..., None] * v_RHN
        y_RC += v_scaled_RHN.reshape(x_RC.shape)
        y_RC *= g_RC
        return y_RC @ layer.output_CC, v_first_RC

    def _layer_norm(self, x_RC: F32, norm: Norm) -> F32:
        y_RC: F32 = x_RC - np.vecdot(x_RC, self._mean_C)[:, None]
        eps = LAYER_NORM_EPS * self.config.width
        y_RC /= np.sqrt(np.vecdot(y_RC, y_RC) + eps)[:, None]
        y_RC *= norm.weight_C
        y_RC += norm.bias_C
        return y_RC

    def _logits(self, x_RC: F32) -> Logits:
        logits_RV: Logits = self._layer_norm(x_RC, self._ln_out) @ self._head_CV
        return logits_RV


_MEAN_N = np.full(HEAD_SIZE, 1 / HEAD_SIZE, np.float32)


def _shifted(x_RC: F32, before_BC: F32) -> F32:
    """The row before each row: in its own state (R = B), or one token earlier (B = 1)."""
    if len(x_RC) == len(before_BC):
        return before_BC
    return np.concatenate((before_BC, x_RC[:-1]))


def _recur(
    wkv_BHNN: F32, r_RHN: F32, w_RHN: F32, k_RHN: F32, v_RHN: F32, kk_RHN: F32, a_RHN: F32
) -> F32:
    """S = S diag(w) - (S kk) (kk a)^T + v k^T for each row; y = S r after it. S moves in place."""
    left_RHN2 = np.empty((*r_RHN.shape, 2), np.float32)  # columns: S kk, v
    left_RHN2[..., 1] = v_RHN
    right_RH2N = np.stack((kk_RHN * a_RHN, k_RHN), axis=2)
    np.negative(right_RH2N[..., 0, :], out=right_RH2N[..., 0, :])
    if len(wkv_BHNN) == len(r_RHN):
        np.matmul(wkv_BHNN, kk_RHN[..., None], out=left_RHN2[..., :1])
        wkv_BHNN *= w_RHN[:, :, None]
        wkv_BHNN += left_RHN2 @ right_RH2N
        y_BHN: F32 = np.matmul(wkv_BHNN, r_RHN[..., None])[..., 0]
        return y_BHN
    wkv_HNN = wkv_BHNN[0]
    update_HNN = np.empty_like(wkv_HNN)
    y_RHN1 = np.empty((*r_RHN.shape, 1), np.float32)
    rows = zip(
        r_RHN[..., None], w_RHN[:, :, None], kk_RHN[..., None], left_RHN2, right_RH2N, y_RHN1,
        strict=True,
    )  # fmt: skip
    for r_HN1, w_H1N, kk_HN1, left_HN2, right_H2N, y_HN1 in rows:
        np.matmul(wkv_HNN, kk_HN1, out=left_HN2[..., :1])
        np.multiply(wkv_HNN, w_H1N, out=wkv_HNN)
        np.matmul(left_HN2, right_H2N, out=update_HNN)
        np.add(wkv_HNN, update_HNN, out=wkv_HNN)
        np.matmul(wkv_HNN, r_HN1, out=y_HN1)
    return y_RHN1[..., 0]
