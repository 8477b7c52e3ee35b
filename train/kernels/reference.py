"""The WKV-7 recurrence as it is written, in float64: what every other form is tested against."""

from __future__ import annotations

import torch
from torch import Tensor


def wkv7_reference(
    r: Tensor,
    log_w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    initial_state: Tensor | None = None,
    resets: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Takes and gives what `operator.wkv7` does, a step at a time, through autograd."""
    r, log_w, k, v, a, b = (x.double() for x in (r, log_w, k, v, a, b))
    batch, steps, heads, size = r.shape
    state = r.new_zeros(batch, heads, size, size)
    if initial_state is not None:
        state = initial_state.double()
    w, outputs = log_w.exp(), []
    for t in range(steps):
        if resets is not None:
            state = torch.where(resets[:, t, None, None, None], 0.0, state)
        u = torch.einsum("bhij,bhj->bhi", state, a[:, t])
        state = (
            state * w[:, t, :, None, :]
            + u[..., None] * b[:, t, :, None, :]
            + v[:, t, :, :, None] * k[:, t, :, None, :]
        )
        outputs.append(torch.einsum("bhij,bhj->bhi", state, r[:, t]))
    return torch.stack(outputs, dim=1), state
