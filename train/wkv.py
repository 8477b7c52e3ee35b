"""The WKV-7 recurrence in plain PyTorch: step by step (the truth) and in chunks (fast).

Per head, with S the state [i value, j key]:
    S_t = S_{t-1} diag(w_t) + (S_{t-1} a_t) b_t^T + v_t k_t^T,    y_t = S_t r_t
In RWKV-7, a = -kk and b = kk * (in-context learning rate).

Decay unit: `log_w` is the natural logarithm of w, so -exp(-0.5) * sigmoid(u), in (-0.607, 0).
State layout: [B, H, 64 (value i), 64 (key j)], float32 or float64, whatever the inputs'.
Shapes: B batch, T time, H heads, N = 64; n chunks of L steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 16  # w^-16 is at most 1.6e4: safe in float32


def wkv7(
    r_BTHN: Tensor,
    log_w_BTHN: Tensor,
    k_BTHN: Tensor,
    v_BTHN: Tensor,
    a_BTHN: Tensor,
    b_BTHN: Tensor,
    state_BHNN: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs [B, T, H, N] and the final state, for any T; the state starts at zero by default."""
    inputs = (r_BTHN, log_w_BTHN, k_BTHN, v_BTHN, a_BTHN, b_BTHN)
    steps = r_BTHN.shape[1]
    state_BHNN = _start(r_BTHN) if state_BHNN is None else state_BHNN
    whole = steps - steps % CHUNK
    if whole == steps:
        return wkv7_chunked(*inputs, state_BHNN)
    y_rest = []
    if whole:
        y, state_BHNN = wkv7_chunked(*(x[:, :whole] for x in inputs), state_BHNN)
        y_rest.append(y)
    y, state_BHNN = wkv7_naive(*(x[:, whole:] for x in inputs), state_BHNN)
    return torch.cat([*y_rest, y], dim=1), state_BHNN


def wkv7_naive(
    r: Tensor, log_w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence as it is written, one step at a time."""
    r, log_w, k, v, a, b = (x.to(state.dtype) for x in (r, log_w, k, v, a, b))
    w = log_w.exp()
    outputs = []
    for t in range(r.shape[1]):
        u = torch.einsum("bhij,bhj->bhi", state, a[:, t])
        state = (
            state * w[:, t, :, None, :]
            + u[..., None] * b[:, t, :, None, :]
            + v[:, t, :, :, None] * k[:, t, :, None, :]
        )
        outputs.append(torch.einsum("bhij,bhj->bhi", state, r[:, t]))
    return torch.stack(outputs, dim=1), state


def wkv7_chunked(
    r: Tensor, log_w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence as matrix products; T must be a multiple of CHUNK.

    With W_t the product of the decays from the chunk's start, the vectors u_t = S_{t-1} a_t of a
    chunk solve (I - A_ab) U = A S_0^T + A_ak V, where A_ab is strictly lower triangular. Solved
    for A and A_ak V at once, only U = P S_0^T + Q and the chunk's last state run in sequence.
    """
    batch, steps, heads, size = r.shape
    count = steps // CHUNK
    r, log_w, k, v, a, b = (
        x.reshape(batch, count, CHUNK, heads, size)
        .permute(0, 3, 1, 2, 4)
        .to(state.dtype, memory_format=torch.contiguous_format)
        for x in (r, log_w, k, v, a, b)
    )  # [B, H, n, L, N]
    lower = torch.ones(CHUNK, CHUNK, dtype=r.dtype, device=r.device).tril()
    log_W = lower @ log_w
    log_W_end = log_W[..., -1:, :]
    after, before = (-log_W).exp(), (log_W_end - log_W).exp()  # decay undone; still to come
    a_in, r_in = a * (log_W - log_w).exp(), r * log_W.exp()
    bk_T = torch.cat([b * after, k * after], dim=-2).transpose(-1, -2)  # [.., N, 2L]
    a_bk = a_in @ bk_T * lower.tril(-1).repeat(1, 2)
    r_bk = r_in @ bk_T * lower.repeat(1, 2)
    known = torch.cat([a_in, a_bk[..., CHUNK:] @ v], dim=-1)
    solved = _inverse_of_one_minus(a_bk[..., :CHUNK]) @ known
    fresh = v.transpose(-1, -2) @ (k * before)
    u, starts, end = _Scan.apply(
        solved[..., :size], solved[..., size:], b * before, fresh, log_W_end.exp(), state
    )
    y = r_in @ starts.transpose(-1, -2) + r_bk @ torch.cat([u, v], dim=-2)
    return y.permute(0, 2, 3, 1, 4).reshape(batch, steps, heads, size), end


def _inverse_of_one_minus(a: Tensor) -> Tensor:
    """(I - a)^-1 of strictly lower triangular [.., 16, 16]: a^16 = 0, so four factors are exact."""
    eye = torch.eye(CHUNK, dtype=a.dtype, device=a.device)
    a2 = a @ a
    a4 = a2 @ a2
    a8 = a4 @ a4
    return (eye + a8) @ (eye + a4) @ (eye + a2) @ (eye + a)


class _Scan(torch.autograd.Function):
    """Over chunks c: U_c = P_c S_c^T + Q_c, S_{c+1} = S_c diag(w_c) + U_c^T B_c + F_c.

    Returns U [B, H, n, L, N], the states at the chunks' starts [B, H, n, N, N], and the last one.
    """

    @staticmethod
    def forward(
        ctx: Any, p: Tensor, q: Tensor, b: Tensor, fresh: Tensor, w: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        u, starts = torch.empty_like(q), torch.empty_like(fresh)
        for c in range(p.shape[2]):
            starts[:, :, c] = state
            u[:, :, c] = q[:, :, c] + p[:, :, c] @ state.transpose(-1, -2)
            state = state * w[:, :, c] + fresh[:, :, c] + u[:, :, c].transpose(-1, -2) @ b[:, :, c]
        ctx.save_for_backward(p, b, w, u, starts)
        return u, starts, state

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        d_u_out, d_starts, d_state = grads
        p, b, w, u, starts = ctx.saved_tensors
        d_u, d_fresh = torch.empty_like(u), torch.empty_like(starts)
        for c in reversed(range(p.shape[2])):
            d_fresh[:, :, c] = d_state
            d_u[:, :, c] = d_u_out[:, :, c] + b[:, :, c] @ d_state.transpose(-1, -2)
            d_state = d_starts[:, :, c] + d_state * w[:, :, c]
            d_state = d_state + d_u[:, :, c].transpose(-1, -2) @ p[:, :, c]
        d_w = (d_fresh * starts).sum(-2, keepdim=True)
        return d_u @ starts, d_u, u @ d_fresh, d_fresh, d_w, d_state


def _start(r_BTHN: Tensor) -> Tensor:
    batch, _, heads, size = r_BTHN.shape
    dtype = torch.promote_types(r_BTHN.dtype, torch.float32)
    return torch.zeros(batch, heads, size, size, dtype=dtype, device=r_BTHN.device)
