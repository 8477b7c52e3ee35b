"""What a run will take, before it is started: parameters, memory, time.

What a backward pass keeps is counted, not guessed: the model's own layers are run on a few tokens,
with two and three layers and two lengths, and everything that they keep is weighed. It is linear in
both, which gives any depth and length. Time is operations over a matrix rate measured here.

Shapes: B rows, T tokens, C width, L layers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rwkv_music.model.config import ModelConfig

from .batches import slice_of
from .config import TrainConfig
from .loss import Inputs, Objective
from .model import Rwkv7

_SHORT, _LONG = 128, 256  # tokens of a probe
_MATRIX = 2048  # rows and columns of the product whose rate is measured


@dataclass(frozen=True, slots=True)
class Estimate:
    """In bytes and seconds. kept: by the forward pass for the backward pass, of one part of a
    step. passing: what comes and goes in the backward pass. optimiser: AdamW's two moments."""

    parameters: int
    weights: int
    gradients: int
    optimiser: int
    kept: int
    passing: int
    operations: float  # floating-point, a step
    rate: float  # of matrix products on this device, operations a second
    step_s: float
    total_s: float

    @property
    def memory(self) -> int:
        return self.weights + self.gradients + self.optimiser + self.kept + self.passing


def estimate(
    config: TrainConfig,
    model: ModelConfig,
    device: torch.device,
    *,
    counted_share: float = 1.0,
    processes: int = 1,
    share_of_rate: float = 0.4,
) -> Estimate:
    """For a run of one of so many processes. counted_share: of the positions, those that are
    targets. share_of_rate: of the matrix rate, what training reaches."""
    run = config.run
    rows = run.batch // run.accumulate // processes
    tokens = rows * config.data.windows.length
    in_bfloat16 = run.precision == "bfloat16"
    width = model.width
    size = 4 * model.parameters
    kept, layer = _kept_bytes(model, device, tokens, counted_share, in_bfloat16)
    if run.recompute:  # what enters each layer, the first layer's v, and one layer in full
        entering = (4 * model.layers + (2 if in_bfloat16 else 4)) * tokens * width
        kept = kept - model.layers * layer + layer + entering
    passing = 4 * 4 * width * tokens * 3  # of the widest product: output, its gradients
    operations = step_operations(model, tokens, counted_share) * run.accumulate
    operations *= 8 / 6 if run.recompute else 1
    rate = matrix_rate(device, in_bfloat16)
    step_s = operations / (rate * share_of_rate)
    return Estimate(
        model.parameters,
        size,
        size,
        2 * size,
        kept,
        passing,
        operations,
        rate,
        step_s,
        step_s * run.steps,
    )


def step_operations(model: ModelConfig, tokens: int, counted_share: float = 1.0) -> float:
    """Floating-point operations of a forward and a backward pass: six a weight and token for the
    matrices (the head at the positions that count), and the recurrence's."""
    c, layers = model.width, model.layers
    ranks = 2 * (model.rank_w + model.rank_a + model.rank_g)
    matrices = layers * c * (12 * c + ranks) + (layers - 1) * 2 * c * model.rank_v
    recurrence = layers * c * 64 * 2 * 5 * 3  # five products with a state of C x 64, three passes
    head = 6 * model.vocabulary * c * counted_share
    return tokens * (6.0 * matrices + recurrence + head)


def matrix_rate(device: torch.device, in_bfloat16: bool, seconds: float = 0.3) -> float:
    """Operations a second of a large matrix product on this device, the best of a few."""
    dtype = torch.bfloat16 if in_bfloat16 else torch.float32
    size = _MATRIX if device.type == "cpu" else 4 * _MATRIX
    a = torch.ones(size, size, dtype=dtype, device=device)
    best, until = 0.0, time.perf_counter() + seconds
    while best == 0.0 or time.perf_counter() < until:
        start = time.perf_counter()
        product = a @ a
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
        del product
    return best


def _kept_bytes(
    model: ModelConfig, device: torch.device, tokens: int, share: float, in_bfloat16: bool
) -> tuple[int, int]:
    """What the whole model keeps for so many tokens, and what one inner layer of it keeps."""
    probes = {
        (layers, length): _probe(replace(model, layers=layers), device, length, share, in_bfloat16)
        for layers in (2, 3)
        for length in (_SHORT, _LONG)
    }

    def at(layers: int) -> float:
        short, long = probes[layers, _SHORT], probes[layers, _LONG]
        slope = (long - short) / (_LONG - _SHORT)
        return short + slope * (tokens - _SHORT)

    layer = at(3) - at(2)
    return int(max(at(2) + (model.layers - 2) * layer, 0)), int(layer)


def _probe(
    config: ModelConfig, device: torch.device, length: int, share: float, in_bfloat16: bool
) -> int:
    """Bytes that one forward pass over `length` tokens keeps, the parameters left out."""
    with torch.device("meta"):  # start values are of no interest, and take long to draw
        model = Rwkv7(config)
    model = model.to_empty(device=device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)
    objective = Objective(model)
    counted = np.linspace(0, length - 1, max(round(share * length), 1)).astype(np.int64)
    counted = np.unique(counted)
    tokens = torch.zeros(1, length, dtype=torch.long, device=device)
    kept = Inputs.kept_on(slice_of(counted, 1, length), device)
    targets = torch.zeros(len(counted), dtype=torch.long, device=device)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with weighing(own) as sizes, torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16):
        loss = objective(Inputs(tokens, kept, targets))[0]
        total = sum(sizes.values())
    del loss
    return total


@contextmanager
def weighing(left_out: set[int]) -> Iterator[dict[int, int]]:
    """The sizes of all storages that autograd keeps meanwhile, by their address."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in left_out:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield sizes
