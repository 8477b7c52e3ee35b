"""`wkv7`, the operator that the model calls: what it takes, what it gives, what it is to torch.

Per head, with S the state [i value, j key]:
    S_t = S_{t-1} diag(w_t) + (S_{t-1} a_t) b_t^T + v_t k_t^T,    y_t = S_t r_t
In RWKV-7, a = -kk and b = kk * (in-context learning rate).

Decay unit: `log_w` is the natural logarithm of w, so -exp(-0.5) * sigmoid(u), in (-0.607, 0).
State layout: [B, H, 64 (value i), 64 (key j)].
Shapes: B batch, T time, H heads, N = 64, M = T / 64 rounded up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rwkv_music.model.config import HEAD_SIZE

from .build import absence
from .chunked import wkv7_chunked

SEGMENT = 64  # steps from one kept state to the next
MOST_BLOCKS = 65_535  # that CUDA takes along the axes of a grid on which rows and heads lie
_KERNEL_DTYPES = (torch.float32, torch.bfloat16)


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

    Differentiable once in the six inputs and the initial state; the current stream is used, and
    nothing waits for it. float32 and bfloat16 are computed by the kernels of this package, which
    are compiled when they are first needed; other dtypes and devices, and machines that cannot
    compile, get the PyTorch form (a message says so).
    Raises ValueError for shapes and dtypes that do not fit, and on a GPU for more than 65,535 rows
    or heads.
    """
    inputs = (r_BTHN, log_w_BTHN, k_BTHN, v_BTHN, a_BTHN, b_BTHN)
    _check(inputs, initial_state_BHNN, resets_BT)
    dtype = r_BTHN.dtype
    for x in inputs[1:]:
        dtype = torch.promote_types(dtype, x.dtype)
    r, log_w, k, v, a, b = (x.to(dtype) for x in inputs)
    if dtype not in _KERNEL_DTYPES or absence(r.device.type):
        return wkv7_chunked(r, log_w, k, v, a, b, initial_state_BHNN, resets_BT)
    state = None if initial_state_BHNN is None else initial_state_BHNN.float()
    keep = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in (r, log_w, k, v, a, b, state)
    )
    y, end, _, _ = torch.ops.rwkv_music.wkv7(r, log_w, k, v, a, b, state, resets_BT, keep)
    return y, end


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
    if device.type == "cuda" and max(batch, heads) > MOST_BLOCKS:
        raise ValueError(
            f"wkv7: {batch} rows of {heads} heads, expected at most {MOST_BLOCKS} of either on a"
            " GPU; take the batch in parts (run.accumulate)"
        )
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


# What the operator is to torch. The compiled libraries (binding_*.cpp) implement both for their
# device when they are loaded. keep: give out what the backward needs, the state before every 64th
# step [B, H, M, N, N] and u_t = S_{t-1} a_t [B, T, H, N], in float32; both are empty without it.
# rows: of a state that one block of a GPU's threads works on, 32 or 64; 0 goes by the shape.
_LIBRARY = torch.library.Library("rwkv_music", "DEF")
_LIBRARY.define(
    "wkv7(Tensor r, Tensor log_w, Tensor k, Tensor v, Tensor a, Tensor b, Tensor? initial_state,"
    " Tensor? resets, bool keep, int rows=0)"
    " -> (Tensor y, Tensor final_state, Tensor states, Tensor u)"
)
_LIBRARY.define(
    "wkv7_backward(Tensor? d_y, Tensor? d_final_state, Tensor r, Tensor log_w, Tensor k, Tensor v,"
    " Tensor a, Tensor b, Tensor? resets, Tensor states, Tensor u, int rows=0) -> (Tensor d_r,"
    " Tensor d_log_w, Tensor d_k, Tensor d_v, Tensor d_a, Tensor d_b, Tensor d_initial_state)"
)


@torch.library.register_fake("rwkv_music::wkv7", lib=_LIBRARY)
def _wkv7_fake(
    r: Tensor,
    log_w: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    initial_state: Tensor | None,
    resets: Tensor | None,
    keep: bool,
    rows: int = 0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, steps, heads, size = r.shape
    y = torch.empty_like(r, memory_format=torch.contiguous_format)
    end = r.new_empty(batch, heads, size, size, dtype=torch.float32)
    if not keep:
        nothing = r.new_empty(0, dtype=torch.float32)
        return y, end, nothing, torch.empty_like(nothing)
    count = (steps + SEGMENT - 1) // SEGMENT
    states = r.new_empty(batch, heads, count, size, size, dtype=torch.float32)
    return y, end, states, r.new_empty(batch, steps, heads, size, dtype=torch.float32)


@torch.library.register_fake("rwkv_music::wkv7_backward", lib=_LIBRARY)
def _wkv7_backward_fake(
    d_y: Tensor | None, d_final_state: Tensor | None, r: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    batch, _, heads, size = r.shape
    like_inputs = (torch.empty_like(r, memory_format=torch.contiguous_format) for _ in range(6))
    return *like_inputs, r.new_empty(batch, heads, size, size, dtype=torch.float32)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *vectors, initial_state, resets, keep, rows = inputs
    _, _, states, u = output
    ctx.save_for_backward(*vectors, resets, states, u)
    ctx.kept, ctx.has_initial_state, ctx.rows = keep, initial_state is not None, rows
    ctx.mark_non_differentiable(states, u)
    ctx.set_materialize_grads(False)


def _wkv7_gradients(
    ctx: Any, d_y: Tensor | None, d_end: Tensor | None, *_: None
) -> tuple[Any, ...]:
    if not ctx.kept:
        raise RuntimeError("rwkv_music::wkv7 was called without keep, so it has no gradients")
    if d_y is None and d_end is None:
        return (None,) * 10
    *gradients, d_initial = torch.ops.rwkv_music.wkv7_backward(
        d_y, d_end, *ctx.saved_tensors, ctx.rows
    )
    return *gradients, d_initial if ctx.has_initial_state else None, None, None, None


torch.library.register_autograd(
    "rwkv_music::wkv7", _wkv7_gradients, setup_context=_setup_context, lib=_LIBRARY
)
