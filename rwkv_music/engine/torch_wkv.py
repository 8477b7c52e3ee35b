"""`torch_layers.mix_heads` as one Triton kernel: a program for each state and head, whose 64 x 64
numbers stay in registers while it goes through the tokens."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

_HEAD_SIZE = 64


def _mix(
    rkv: Any,  # [3, R, C]
    gates: Any,  # [4, R, C]
    heads: Any,  # [8, C]
    v_first: Any,  # [R, C]
    wkv: Any,  # [B, H, N, N], states `state_stride` apart
    y: Any,  # [R, C]
    state_stride: Any,
    rows: Any,
    tokens: Any,
    width: tl.constexpr,
    first: tl.constexpr,
    size: tl.constexpr,
) -> None:
    state, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    i = tl.arange(0, size)
    c = head * size + i
    v0 = tl.load(heads + c)
    w0 = tl.load(heads + width + c)
    a0 = tl.load(heads + 2 * width + c)
    k_k = tl.load(heads + 3 * width + c)
    k_a = tl.load(heads + 4 * width + c)
    r_k = tl.load(heads + 5 * width + c)
    ln_weight = tl.load(heads + 6 * width + c)
    ln_bias = tl.load(heads + 7 * width + c)
    place = wkv + state * state_stride + head * size * size + i[:, None] * size + i[None, :]
    s = tl.load(place)
    whole = rows * width
    for t in range(tokens):
        at = (state * tokens + t) * width + c
        r = tl.load(rkv + at).to(tl.float32)
        k = tl.load(rkv + whole + at).to(tl.float32)
        v = tl.load(rkv + 2 * whole + at).to(tl.float32)
        if first:
            tl.store(v_first + at, v)
        else:
            share = tl.sigmoid(v0 + tl.load(gates + at).to(tl.float32))
            v += (tl.load(v_first + at) - v) * share
        w = tl.sigmoid(w0 + tl.load(gates + whole + at).to(tl.float32))
        w = tl.exp(-0.6065306597126334 * w)
        a = tl.sigmoid(a0 + tl.load(gates + 2 * whole + at).to(tl.float32))
        g = tl.load(gates + 3 * whole + at).to(tl.float32)
        kk = k * k_k
        kk = kk / tl.maximum(tl.sqrt(tl.sum(kk * kk, axis=0)), 1e-12)
        k = k * (1 + (a - 1) * k_a)
        kka = kk * a
        removed = tl.sum(s * kk[None, :], axis=1)
        s = s * w[None, :] - removed[:, None] * kka[None, :] + v[:, None] * k[None, :]
        out = tl.sum(s * r[None, :], axis=1)
        out = out - tl.sum(out, axis=0) / size
        out = out / tl.sqrt(tl.sum(out * out, axis=0) / size + 64e-5)
        out = out * ln_weight + ln_bias + tl.sum(r * k * r_k, axis=0) * v
        tl.store(y + at, out * g)
    tl.store(place, s)


_kernel = triton.jit(_mix)


def mix_heads_fused(
    rkv_3RC: torch.Tensor,
    gates_4RC: torch.Tensor,
    heads_8C: torch.Tensor,
    v_first_RC: torch.Tensor,
    wkv_BHNN: torch.Tensor,
    *,
    first: bool,
) -> torch.Tensor:
    """The same as `torch_layers.mix_heads`."""
    states, heads = wkv_BHNN.shape[:2]
    y_RC = torch.empty_like(rkv_3RC[0])
    rows, width = y_RC.shape
    _kernel[(states, heads)](
        rkv_3RC,
        gates_4RC,
        heads_8C,
        v_first_RC,
        wkv_BHNN,
        y_RC,
        wkv_BHNN.stride(0),
        rows,
        rows // states,
        width,
        first,
        _HEAD_SIZE,
    )
    return y_RC
