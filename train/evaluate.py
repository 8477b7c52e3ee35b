"""Validation loss: nats a target over fixed windows, of models and of the n-gram baseline."""

from __future__ import annotations

from pathlib import Path

import torch

from rwkv_music.errors import CheckpointError
from rwkv_music.model.weights import load_weights
from rwkv_music.tokenizer import Vocabulary, load_vocabulary

from .checkpoint import load_run
from .loss import Inputs, summed_loss
from .model import Rwkv7
from .ngram import NGram
from .pieces import read_pieces
from .windows import Window, collate, validation_windows

WINDOWS_AT_ONCE = 4


def mean_loss(
    model: Rwkv7, windows: list[Window], vocabulary: Vocabulary, *, in_bfloat16: bool = False
) -> tuple[float, int]:
    """Nats a target, and the number of targets; the mean is over targets, not over windows."""
    model.eval()
    nats, targets = 0.0, 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
        for first in range(0, len(windows), WINDOWS_AT_ONCE):
            batch = collate(windows[first : first + WINDOWS_AT_ONCE], vocabulary)
            nats += summed_loss(model, Inputs.of(batch)).item()
            targets += len(batch.targets)
    return nats / max(targets, 1), targets


def load_model(path: Path) -> Rwkv7:
    """A model from a run's checkpoint or from exported weights. Raises CheckpointError."""
    try:
        return load_run(path).model()
    except CheckpointError:
        weights = load_weights(path)
    weights.check_vocabulary(load_vocabulary())
    model = Rwkv7(weights.config)
    model.load_state_dict({n: torch.tensor(t) for n, t in weights.tensors.items()})
    return model


def compare(
    model: Path, data: Path, length: int, context_bars: int, windows: int, ngram: int
) -> dict[str, tuple[float, int]]:
    """Nats a target and targets, of a model and of an n-gram (order 0: without it), on the same
    targets of the validation split."""
    vocabulary = load_vocabulary()
    pieces = read_pieces(data / "valid.arrow", vocabulary)
    chosen = validation_windows(pieces, vocabulary, length, context_bars, windows)
    losses = {"model": mean_loss(load_model(model), chosen, vocabulary)}
    if ngram:
        baseline = NGram(read_pieces(data / "train.arrow", vocabulary), vocabulary, ngram)
        losses[f"{ngram}-gram"] = baseline.mean_loss(chosen, vocabulary)
    return losses
