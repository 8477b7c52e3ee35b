"""What music costs whoever is to tell it: nats a target and bits a note, of models and baselines,
on the same windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from rwkv_music.music import METERS
from rwkv_music.tokenizer import Vocabulary

from .batches import Batch, collate
from .loss import Inputs, summed_loss
from .model import LayerState, Rwkv7
from .pieces import Piece
from .windows import Window, sampled_kinds, target_places, validation_windows

WINDOWS_AT_ONCE = 4

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


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


class Teller(Protocol):
    """Gives each token a probability from those before it in its window."""

    def nats(self, windows: Sequence[Window]) -> list[Floats]:
        """Of each target of each window: minus the logarithm of its probability."""
        ...


class Network:
    """A network as a Teller; windows begin in the zero state. Implements Teller."""

    def __init__(self, model: Rwkv7, vocabulary: Vocabulary) -> None:
        self._model, self._vocabulary = model.eval(), vocabulary

    def nats(
        self, windows: Sequence[Window], states: list[LayerState] | None = None
    ) -> list[Floats]:
        """states: what a row for each window begins in; then all windows are one batch."""
        at_once = WINDOWS_AT_ONCE if states is None else len(windows)
        order = sorted(range(len(windows)), key=lambda i: len(windows[i].tokens))
        if states is not None:
            order = list(range(len(windows)))
        found: list[Floats] = [np.empty(0)] * len(windows)
        for first in range(0, len(order), at_once):
            places = order[first : first + at_once]
            told = self._told([windows[i] for i in places], states)
            for i, part in zip(places, told, strict=True):
                found[i] = part
        return found

    def _told(self, windows: list[Window], states: list[LayerState] | None) -> list[Floats]:
        inputs = Inputs.of(batch := collate(windows, self._vocabulary), self._device)
        with torch.inference_mode():
            hidden_RC, _ = self._model.hidden(
                inputs.tokens_BT, states, inputs.resets_BT, inputs.kept
            )
            logits_RV = self._model.head(hidden_RC).float()
            nats_R = F.cross_entropy(logits_RV, inputs.targets_R, reduction="none")
        rows = batch.rows // batch.inputs.shape[1]
        ends = np.searchsorted(rows, np.arange(1, len(windows)))
        return np.split(nats_R.double().cpu().numpy(), ends)

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device


@dataclass(frozen=True, slots=True)
class Targets:
    """The targets of some windows, one behind the other: ids [n], the index of each one's window
    [n], and of the meter (in `METERS`) that its bar has [n]."""

    ids: NDArray[np.int64]
    window: NDArray[np.int64]
    meter: NDArray[np.int64]

    @classmethod
    def of(cls, windows: Sequence[Window], vocabulary: Vocabulary) -> Targets:
        sampled, meters = sampled_kinds(vocabulary), vocabulary.meter
        ids, window, meter = [], [], []
        for number, w in enumerate(windows):
            places = target_places(w, sampled)
            is_meter = (w.tokens >= meters.start) & (w.tokens < meters.stop)
            latest = np.maximum.accumulate(np.where(is_meter, np.arange(len(w.tokens)), 0))
            ids.append(w.tokens[places])
            window.append(np.full(len(places), number))
            meter.append(w.tokens[latest[places]] - meters.start)
        return cls(*(np.concatenate(parts) for parts in (ids, window, meter)))

    def loss(self, nats: Floats, vocabulary: Vocabulary, mask: Mask | None = None) -> Loss:
        """Over all of them, or those of a mask [n]."""
        ids = self.ids if mask is None else self.ids[mask]
        kept = nats if mask is None else nats[mask]
        pitch = vocabulary.pitch
        notes = int(((ids >= pitch.start) & (ids < pitch.stop)).sum())
        return Loss(float(kept.mean()) if len(kept) else 0.0, len(kept), notes)


def told(teller: Teller, windows: Sequence[Window], vocabulary: Vocabulary) -> Loss:
    """What some windows cost a teller."""
    nats = np.concatenate(teller.nats(windows))
    return Targets.of(windows, vocabulary).loss(nats, vocabulary)


def windows_by_set(
    pieces: Sequence[Piece], vocabulary: Vocabulary, length: int, context_bars: int, count: int
) -> dict[str, list[Window]]:
    """`validation_windows` of each set, about `count` in all, shared out by size; 0: all."""
    sets = sorted({piece.set for piece in pieces})
    whole = {
        name: validation_windows(
            [piece for piece in pieces if piece.set == name], vocabulary, length, context_bars, 0
        )
        for name in sets
    }
    total = sum(map(len, whole.values()))
    if not count or count >= total:
        return whole
    return {
        name: [
            windows[i]
            for i in np.linspace(
                0, len(windows) - 1, max(round(count * len(windows) / total), 1)
            ).astype(int)
        ]
        for name, windows in whole.items()
        if windows
    }


def losses_by_part(
    nats: Floats, targets: Targets, sets: Mapping[str, int], vocabulary: Vocabulary
) -> dict[str, dict[str, Loss]]:
    """The losses of the same windows by set, by meter and by kind of token. sets: how many
    windows, in their order, are of each."""
    borders = np.cumsum([0, *sets.values()])
    by_set = {
        name: (targets.window >= first) & (targets.window < last)
        for name, first, last in zip(sets, borders[:-1], borders[1:], strict=True)
    }
    by_meter = {
        str(METERS[i]): targets.meter == i
        for i in np.argsort(-np.bincount(targets.meter, minlength=len(METERS)), kind="stable")
    }
    v = vocabulary
    kinds = {"pitch": v.pitch, "duration": v.duration, "velocity": v.velocity}
    kinds["position"] = v.position
    by_kind = {
        name: (targets.ids >= ids.start) & (targets.ids < ids.stop) for name, ids in kinds.items()
    }
    by_kind["bar"] = targets.ids == v.bar
    parts = {"set": by_set, "meter": by_meter, "kind of token": by_kind}
    return {
        part: {
            name: targets.loss(nats, vocabulary, mask) for name, mask in masks.items() if mask.any()
        }
        for part, masks in parts.items()
    }


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
