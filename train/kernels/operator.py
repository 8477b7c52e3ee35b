"""`wkv7`, the operator that the model calls: what it takes, what it gives.

Per head, with S the state [i value, j key]:
    S_t = S_{t-1} diag(w_t) + (S_{t-1} a_t) b_t^T + v_t k_t^T,    y_t = S_t r_t
In RWKV-7, a = -kk and b = kk * (in-context learning rate).

Decay unit: `log_w` is the natural logarithm of w, so -exp(-0.5) * sigmoid(u), in (-0.607, 0).
State layout: [B, H, 64 (value i), 64 (key j)].
Shapes: B batch, T time, H heads, N = 64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rwkv_music.model.config import HEAD_SIZE

from .chunked import wkv7_chunked


def wkv7(
    r_BTHN: Tensor,
    log_w_BTHN: Tensor,
    k_BTHN: Tensor,
    v_BTHN: Tensor,
    a_BTHN: Tensor,
    b_BTHN: Tensor,
    initial_state_BHNN: Tensor | None = None,
    resets_BT: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Outputs y [B, T, H, N], and the state [B, H, N, N] after the last step, for any T.

    Inputs: bfloat16, float32 or float64; of unlike ones, all are taken to the widest dtype, which
    is also that of y. The recurrence runs in float32, in float64 for float64 inputs, and the final
    state has that dtype. log_w: at least -0.607 (w >= 0.545), which is all that RWKV-7 makes; with
    stronger decays float32 loses digits in the forms that work in chunks.

    initial_state: the state before the first step, zero by default. resets [B, T], bool: where it
    is true the state is set to zero before that step is read, so that windows packed into one row
    do not see each other; the initial state reaches the steps before the row's first reset, and
    the final state is that of the row's last window. At step 0 a reset discards the initial state.

    Differentiable in the six inputs and the initial state; all of it runs on the current stream.
    Raises ValueError for shapes and dtypes that do not fit.
    """
    inputs = (r_BTHN, log_w_BTHN, k_BTHN, v_BTHN, a_BTHN, b_BTHN)
    _check(inputs, initial_state_BHNN, resets_BT)
    dtype = r_BTHN.dtype
    for x in inputs[1:]:
        dtype = torch.promote_types(dtype, x.dtype)
    inputs = tuple(x.to(dtype) for x in inputs)
    return wkv7_chunked(*inputs, initial_state_BHNN, resets_BT)


def _check(inputs: tuple[Tensor, ...], state: Tensor | None, resets: Tensor | None) -> None:
    shape, device = inputs[0].shape, inputs[0].device
    if len(shape) != 4 or shape[-1] != HEAD_SIZE or shape[1] < 1:
        raise ValueError(
            f"wkv7: r has shape {tuple(shape)}, expected [B, T, H, {HEAD_SIZE}] with T >= 1"
        )
    for name, x in zip(("r", "log_w", "k", "v", "a", "b"), inputs, strict=True):
        if x.shape != shape or x.device != device or not x.is_floating_point():
            raise ValueError(
                f"wkv7: {name} is {x.dtype} {tuple(x.shape)} on {x.device}, expected floating"
                f" point numbers {tuple(shape)} on {device}, as r"
            )
    batch, steps, heads, size = shape
    if state is not None and (state.shape != (batch, heads, size, size) or state.device != device):
        raise ValueError(
            f"wkv7: the initial state is {tuple(state.shape)} on {state.device}, expected"
            f" {(batch, heads, size, size)} on {device}"
        )
    if resets is not None and (
        resets.shape != (batch, steps) or resets.dtype != torch.bool or resets.device != device
    ):
        raise ValueError(
            f"wkv7: resets are {resets.dtype} {tuple(resets.shape)} on {resets.device}, expected"
            f" torch.bool {(batch, steps)} on {device}"
        )
