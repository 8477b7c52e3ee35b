"""Cross-entropy over the tokens that count; no logits are computed for any other.

Where even those logits would be large, they are made and used up a part of the vocabulary at a
time, and made again in the backward pass.

Shapes: B batch, T time, C width, V vocabulary, R positions that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import Batch, Slice
from .model import LayerState, Rwkv7

# float32 logits at once, in bytes: beyond the first number they are made in parts of the second.
# Parts that stay in a processor's cache, and keep a GPU busy.
WHOLE_BYTES = {"cpu": 16 << 20, "cuda": 64 << 20}
PART_BYTES = {"cpu": 4 << 20, "cuda": 32 << 20}
# A part's columns are a multiple of this, which holds whole blocks of 128, 256 and 384 terms: those
# that matrix products add up before they round. So the parts' sums are rounded where those of one
# product are; with other borders the gradients were 1.0e-6 to 1.6e-6 from those of all logits
# instead of 2e-7.
COLUMNS = 768


@dataclass(frozen=True, slots=True)
class Inputs:
    """A Batch as tensors on a device."""

    tokens_BT: Tensor
    kept: Slice[Tensor]
    targets_R: Tensor
    resets_BT: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch, device: torch.device | str = "cpu") -> Inputs:
        return cls(
            _moved(batch.inputs, device),
            cls.kept_on(batch.slice, device),
            _moved(batch.targets, device),
            None if batch.resets is None else _moved(batch.resets, device),
        )

    @staticmethod
    def kept_on(slice_: Slice[Any], device: torch.device | str = "cpu") -> Slice[Tensor]:
        """A slice's arrays as tensors."""
        return Slice(*(_moved(array, device) for array in slice_.arrays))


def _moved(array: Any, device: torch.device | str) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)


class Objective(nn.Module):
    """A model and its loss as one module, which is what DDP wraps."""

    def __init__(self, model: Rwkv7) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, inputs: Inputs, states: list[LayerState] | None = None
    ) -> tuple[Tensor, list[LayerState]]:
        """The sum of the nats of all targets, and the states at the end of the batch.

        The caller divides by the global count of targets, so that parts of a batch, and ranks,
        weigh by what they hold. Raises ValueError where rows and targets do not match.
        """
        kept = inputs.kept
        hidden_RC, ends = self.model.hidden(inputs.tokens_BT, states, inputs.resets_BT, kept)
        return head_loss(hidden_RC, self.model.head.weight, inputs.targets_R), ends


def summed_loss(model: Rwkv7, inputs: Inputs) -> Tensor:
    """The sum of the nats of all targets, from the zero state."""
    loss: Tensor = Objective(model)(inputs)[0]
    return loss


def head_loss(
    hidden_RC: Tensor, weight_VC: Tensor, targets_R: Tensor, columns: int | None = None
) -> Tensor:
    """Sum of the cross-entropies of `hidden @ weight.T` with the targets, in float32
    (float64 for float64, where the head is made at once).

    columns: how many of the vocabulary's columns are made at once; by default all of them where
    that is little, else as many as PART_BYTES hold.
    """
    if hidden_RC.shape[:-1] != targets_R.shape:
        raise ValueError(
            f"loss: {len(hidden_RC)} rows of hidden states for {len(targets_R)} targets"
        )
    rows, vocabulary = max(len(hidden_RC), 1), len(weight_VC)
    if columns is None:
        device = hidden_RC.device.type
        part = PART_BYTES.get(device, PART_BYTES["cpu"])
        whole = rows * vocabulary * 4 <= WHOLE_BYTES.get(device, WHOLE_BYTES["cpu"])
        columns = vocabulary if whole else max(part // (4 * rows) // COLUMNS, 1) * COLUMNS
    if columns >= vocabulary:
        logits_RV = F.linear(hidden_RC, weight_VC)
        exact = torch.promote_types(logits_RV.dtype, torch.float32)
        return F.cross_entropy(logits_RV.to(exact), targets_R, reduction="sum")
    dtype = hidden_RC.dtype
    device = hidden_RC.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    loss: Tensor = _HeadLoss.apply(  # type: ignore[no-untyped-call]
        hidden_RC, weight_VC, targets_R, columns, dtype
    )
    return loss


class _HeadLoss(torch.autograd.Function):
    """The head and its cross-entropy, `columns` of the vocabulary at a time. Kept between the
    passes: each row's largest logit, and the sum of the exponentials of what its logits are below
    that, [R] each (their logarithm would cost digits)."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_RC: Tensor,
        weight_VC: Tensor,
        targets_R: Tensor,
        columns: int,
        dtype: torch.dtype,
    ) -> Tensor:
        x_RC = hidden_RC.to(dtype)
        highest_R = hidden_RC.new_full((len(hidden_RC),), -torch.inf, dtype=torch.float32)
        total_R, target_R = torch.zeros_like(highest_R), torch.zeros_like(highest_R)
        for first in range(0, len(weight_VC), columns):
            part_RV = (x_RC @ weight_VC[first : first + columns].to(dtype).T).float()
            place_R = targets_R - first
            inside_R = (place_R >= 0) & (place_R < part_RV.shape[1])
            held_R = part_RV.gather(1, place_R.clamp(0, part_RV.shape[1] - 1)[:, None])[:, 0]
            target_R = torch.where(inside_R, held_R, target_R)
            top_R = torch.maximum(highest_R, part_RV.amax(1))
            part_RV -= top_R[:, None]
            total_R = total_R * (highest_R - top_R).exp() + part_RV.exp_().sum(1)
            highest_R = top_R
        ctx.save_for_backward(hidden_RC, weight_VC, targets_R, highest_R, total_R)
        ctx.columns, ctx.dtype = columns, dtype
        return (highest_R + total_R.log() - target_R).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_RC, weight_VC, targets_R, highest_R, total_R = ctx.saved_tensors
        scale_R = grads[0] / total_R
        columns, dtype = ctx.columns, ctx.dtype
        x_RC = hidden_RC.to(dtype)
        d_hidden_RC = torch.zeros_like(hidden_RC, dtype=torch.float32)
        d_weight_VC = torch.empty_like(weight_VC) if ctx.needs_input_grad[1] else None
        rows_R = torch.arange(len(hidden_RC), device=hidden_RC.device)
        for first in range(0, len(weight_VC), columns):
            part_VC = weight_VC[first : first + columns].to(dtype)
            chance_RV = (x_RC @ part_VC.T).float()
            chance_RV -= highest_R[:, None]
            chance_RV.exp_().mul_(scale_R[:, None])
            place_R = targets_R - first
            inside_R = (place_R >= 0) & (place_R < chance_RV.shape[1])
            minus_R = -grads[0] * inside_R
            place_R = place_R.clamp(0, chance_RV.shape[1] - 1)
            chance_RV.index_put_((rows_R, place_R), minus_R, accumulate=True)
            d_logits_RV = chance_RV.to(dtype)
            if dtype == d_hidden_RC.dtype:
                d_hidden_RC.addmm_(d_logits_RV, part_VC)  # goes on with the sum, as one product
            else:
                d_hidden_RC += d_logits_RV @ part_VC
            if d_weight_VC is not None:
                d_weight_VC[first : first + columns] = d_logits_RV.T @ x_RC
        return d_hidden_RC.to(hidden_RC.dtype), d_weight_VC, None, None, None
