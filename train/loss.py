"""Cross-entropy over the tokens that count; no logits are computed for any other.

Shapes: B batch, T time, V vocabulary, R rows that count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .model import Rwkv7
from .windows import Batch


@dataclass(frozen=True, slots=True)
class Inputs:
    """A Batch as tensors on a device."""

    tokens_BT: Tensor
    rows_R: Tensor
    targets_R: Tensor

    @classmethod
    def of(cls, batch: Batch, device: torch.device | str = "cpu") -> Inputs:
        arrays = (batch.inputs, batch.rows, batch.targets)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


def summed_loss(model: Rwkv7, inputs: Inputs) -> Tensor:
    """Sum of the nats of all targets. The caller divides by the global count of targets, so that
    parts of a batch, and ranks, weigh by what they hold."""
    logits_RV, _ = model(inputs.tokens_BT, inputs.rows_R)
    if len(logits_RV) != len(inputs.targets_R):
        raise ValueError(f"{len(logits_RV)} rows of logits for {len(inputs.targets_R)} targets")
    return F.cross_entropy(logits_RV.float(), inputs.targets_R, reduction="sum")
