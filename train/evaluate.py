"""Validation loss: nats a target and bits a note over fixed windows, of models and of the n-gram
baseline."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from pathlib import Path

import torch

from rwkv_music.tokenizer import Vocabulary, load_vocabulary

from .batches import Batch, collate
from .loss import Inputs, summed_loss
from .model import Rwkv7
from .ngram import NGram
from .pieces import read_split
from .windows import Window, sampled_kinds, target_places, validation_windows

WINDOWS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Loss:
    """Summed over so many targets, which tell so many notes. nats: a target."""

    nats: float
    targets: int
    notes: int

    @property
    def bits_a_note(self) -> float:
        """All that it takes to tell a note (when, what, how loud, how long, and the bar lines
        between), in bits."""
        return self.nats * self.targets / max(self.notes, 1) / log(2)


def mean_loss(
    model: Rwkv7, windows: list[Window], vocabulary: Vocabulary, *, in_bfloat16: bool = False
) -> tuple[float, int]:
    """Nats a target, and the number of targets; the mean is over targets, not over windows."""
    model.eval()
    device = next(model.parameters()).device
    nats, targets = 0.0, 0
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=in_bfloat16):
        for first in range(0, len(windows), WINDOWS_AT_ONCE):
            batch: Batch = collate(windows[first : first + WINDOWS_AT_ONCE], vocabulary)
            nats += summed_loss(model, Inputs.of(batch, device)).item()
            targets += len(batch.targets)
    return nats / max(targets, 1), targets


def notes_in(windows: list[Window], vocabulary: Vocabulary) -> int:
    """Notes whose tokens are targets."""
    sampled, pitch = sampled_kinds(vocabulary), vocabulary.pitch
    told = (window.tokens[target_places(window, sampled)] for window in windows)
    return sum(int(((ids >= pitch.start) & (ids < pitch.stop)).sum()) for ids in told)


def compare(
    model: Rwkv7, data: Path, length: int, context_bars: int, windows: int, ngram: int
) -> dict[str, Loss]:
    """The losses of a model and of an n-gram (order 0: without it) on the same targets of the
    validation split."""
    vocabulary = load_vocabulary()
    pieces = read_split(data, "valid", vocabulary)
    chosen = validation_windows(pieces, vocabulary, length, context_bars, windows)
    notes = notes_in(chosen, vocabulary)
    losses = {"model": Loss(*mean_loss(model, chosen, vocabulary), notes)}
    if ngram:
        baseline = NGram(read_split(data, "train", vocabulary), vocabulary, ngram)
        losses[f"{ngram}-gram"] = Loss(*baseline.mean_loss(chosen, vocabulary), notes)
    return losses
