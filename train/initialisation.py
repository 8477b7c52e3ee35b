"""How the weights of an RWKV-7 start: the public training code's rules, written anew.

Shapes: C width, V vocabulary, D rank, H heads; l layer, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rwkv_music.model.config import HEAD_SIZE, ModelConfig

EMBEDDING_SPREAD = 1e-4  # emb starts uniform in +-this; ln0 brings it to size 1


def mix_curves(layer: int, config: ModelConfig) -> dict[str, Tensor]:
    """Token-shift weights of the time-mix, and `ffn` of the channel-mix, each [C]."""
    depth = 1 - layer / config.layers
    ramp = torch.arange(config.width) / config.width
    powers = {"r": 0.2, "w": 0.9, "k": 0.7, "v": 0.7, "a": 0.9, "g": 0.2}
    curves = {name: 1 - ramp ** (power * depth) for name, power in powers.items()}
    curves["ffn"] = 1 - ramp ** (depth**4)
    return curves


def vectors(layer: int, config: ModelConfig) -> dict[str, Tensor]:
    """w0, a0, v0, k_k, k_a of a layer, each [C]."""
    position = torch.arange(config.width) / (config.width - 1)
    linear = position - 0.5
    within = torch.arange(config.width) % HEAD_SIZE / (HEAD_SIZE - 1) * 2 - 1
    zigzag = within * within.abs()
    height = layer / max(config.layers - 1, 1)
    return {
        "w0": -6 + 6 * position ** (1 + height**0.3) + 0.5 + 2.5 * zigzag,
        "a0": -0.19 + 0.3 * zigzag + 0.4 * linear,
        "v0": 0.73 - 0.4 * linear,
        "k_k": 0.71 - 0.1 * linear,
        "k_a": torch.full((config.width,), 1.02),
    }


def orthogonal(rows: int, columns: int, gain: float) -> Tensor:
    """[rows, columns] with orthonormal rows or columns, times `gain`, drawn from torch's RNG."""
    made = torch.empty(rows, columns)
    torch.nn.init.orthogonal_(made, gain=gain)
    return made


def head_gain(config: ModelConfig) -> float:
    ratio = config.vocabulary / config.width
    return 0.5 * float(max(ratio, 1.0) ** 0.5)
