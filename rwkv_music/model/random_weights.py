"""Random weights for tests and benchmarks: no term of the equations is zero or one.

Not an initialisation for training (that leaves many tensors zero, which hides mistakes).
"""

from __future__ import annotations

import numpy as np

from .config import ModelConfig
from .weights import Weights, tensor_shapes


def random_weights(config: ModelConfig, seed: int = 0, vocabulary_hash: str = "") -> Weights:
    """Weights whose activations and states stay of the order of one."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(config).items():
        kind = name.rsplit(".", 1)[-1]
        parent = name.split(".")[-2]
        values = rng.standard_normal(shape)
        if kind.startswith("x_"):
            values = rng.random(shape)
        elif kind in ("w0", "a0", "v0"):
            values = values * 2 - 1
        elif kind == "k_k":
            values = 0.8 + 0.1 * values
        elif kind == "k_a":
            values = 1 + 0.2 * values
        elif kind == "r_k":
            values = 0.1 * values
        elif parent.startswith("ln"):
            values = 0.2 * values + (kind == "weight")
        elif parent == "enn":
            values = 1 + 0.3 * values
        elif kind[-1] in "12":  # low-rank factors [C, D] and [D, C]
            values = values / np.sqrt(shape[0])
        elif parent != "emb":  # matrices [out, in]
            values = values / np.sqrt(shape[1])
        tensors[name] = values.astype(np.float32)
    return Weights(config, tensors, vocabulary_hash, source="random weights")
