"""AdamW in RWKV's parameter groups, and the learning rate over time."""

from __future__ import annotations

import math
import re

import torch

from .config import OptimiserOptions
from .model import Rwkv7

_DECAYED = re.compile(r"^(emb|head)\.weight$|\.(receptance|key|value|output)\.weight$")
_DOUBLE_RATE = re.compile(r"\.att\.w0$")
EPS = 1e-18  # the public training code's


def make_optimiser(model: Rwkv7, options: OptimiserOptions) -> torch.optim.AdamW:
    """Weight decay on the large matrices only; w0 learns at twice the rate. `rate_scale` in each
    group is what the schedule's rate is multiplied by."""
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        scale = 2.0 if _DOUBLE_RATE.search(name) else 1.0
        decay = options.weight_decay if _DECAYED.search(name) else 0.0
        groups.setdefault((scale, decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "rate_scale": scale, "weight_decay": decay}
            for (scale, decay), members in groups.items()
        ],
        lr=options.rate,
        betas=(options.betas[0], options.betas[1]),
        eps=EPS,
        fused=True,
    )


def rate_at(step: int, steps: int, options: OptimiserOptions) -> float:
    """Learning rate of a step (the first is 0) in a run of `steps`."""
    if step < options.warmup_steps:
        return options.rate * (step + 1) / options.warmup_steps
    if options.schedule == "cosine":
        done = (step - options.warmup_steps) / max(steps - options.warmup_steps, 1)
        shape = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    else:
        falling = max(options.decay_share * steps, 1)
        shape = min(max(steps - step, 0) / falling, 1.0)
    return options.rate * (options.last_rate + (1 - options.last_rate) * shape)


def tuning_rate(step: int, steps: int, rate: float) -> float:
    """A rate that falls along half a cosine, to nothing at the end."""
    return rate * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["rate_scale"]
