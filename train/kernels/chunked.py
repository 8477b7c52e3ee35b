"""The WKV-7 recurrence in plain PyTorch, as matrix products over chunks of 16 steps.

For every device and for float64, and where no kernel can be built. Shapes: B batch, T time, H
heads, N = 64; n chunks of L steps.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 16  # w^-16 is at most 1.6e4: safe in float32


def wkv7_chunked(
    r_BTHN: Tensor,
    log_w_BTHN: Tensor,
    k_BTHN: Tensor,
    v_BTHN: Tensor,
    a_BTHN: Tensor,
    b_BTHN: Tensor,
    initial_state_BHNN: Tensor | None = None,
    resets_BT: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Takes and gives what `operator.wkv7` does, differentiably.

    With W_t the product of the decays from the chunk's start, the vectors u_t = S_{t-1} a_t of a
    chunk solve (I - A_ab) U = A S_0^T + A_ak V, where A_ab is strictly lower triangular. Solved
    for A and A_ak V at once, only U = P S_0^T + Q and the chunk's last state run in sequence.
    A reset cuts the chunk: pairs of steps on its two sides do not meet.
    """
    with torch.autocast(r_BTHN.device.type, enabled=False):  # it would multiply in bfloat16
        return _chunked(
            (r_BTHN, log_w_BTHN, k_BTHN, v_BTHN, a_BTHN, b_BTHN), initial_state_BHNN, resets_BT
        )


def _chunked(
    inputs: tuple[Tensor, ...], initial_state_BHNN: Tensor | None, resets_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    batch, steps, heads, size = inputs[0].shape
    dtype = torch.promote_types(inputs[0].dtype, torch.float32)
    if initial_state_BHNN is None:
        state = inputs[0].new_zeros(batch, heads, size, size, dtype=dtype)
    else:
        state = initial_state_BHNN.to(dtype)
    missing = -steps % CHUNK  # steps of zeros (so w = 1) leave the state as it is
    count = (steps + missing) // CHUNK
    r, log_w, k, v, a, b = (
        F.pad(x, (0, 0, 0, 0, 0, missing))
        .reshape(batch, count, CHUNK, heads, size)
        .permute(0, 3, 1, 2, 4)
        .to(dtype, memory_format=torch.contiguous_format)
        for x in inputs
    )  # [B, H, n, L, N]
    lower = torch.ones(CHUNK, CHUNK, dtype=dtype, device=r.device).tril()
    log_W = lower @ log_w
    log_W_end = log_W[..., -1:, :]
    after, before = (-log_W).exp(), (log_W_end - log_W).exp()  # decay undone; still to come
    a_in, r_in = a * (log_W - log_w).exp(), r * log_W.exp()
    bk_T = torch.cat([b * after, k * after], dim=-2).transpose(-1, -2)  # [.., N, 2L]
    a_bk = a_in @ bk_T * lower.tril(-1).repeat(1, 2)
    r_bk = r_in @ bk_T * lower.repeat(1, 2)
    b_end, k_end, w_end = b * before, k * before, log_W_end.exp()
    if resets_BT is not None:
        part = F.pad(resets_BT, (0, missing)).view(batch, 1, count, CHUNK).cumsum(-1)
        same = (part[..., :, None] == part[..., None, :]).to(dtype).repeat(1, 1, 1, 1, 2)
        from_start = (part == 0).to(dtype)[..., None]
        to_end = (part == part[..., -1:]).to(dtype)[..., None]
        a_bk, r_bk = a_bk * same, r_bk * same
        a_in, r_in = a_in * from_start, r_in * from_start
        b_end, k_end, w_end = b_end * to_end, k_end * to_end, w_end * from_start[..., -1:, :]
    known = torch.cat([a_in, a_bk[..., CHUNK:] @ v], dim=-1)
    solved = _inverse_of_one_minus(a_bk[..., :CHUNK]) @ known
    u, starts, end = _Scan.apply(  # type: ignore[no-untyped-call]
        solved[..., :size], solved[..., size:], b_end, v.transpose(-1, -2) @ k_end, w_end, state
    )
    y = r_in @ starts.transpose(-1, -2) + r_bk @ torch.cat([u, v], dim=-2)
    y = y.permute(0, 2, 3, 1, 4).reshape(batch, steps + missing, heads, size)
    return y[:, :steps].to(inputs[0].dtype), end


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
