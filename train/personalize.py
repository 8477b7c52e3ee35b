"""A style as a state: an initial state is tuned on a handful of pieces, the model stays as it is.

What comes out is a memory, as the daemon saves them itself: the state after BOS from the tuned
start, and the logits there. It weighs what a state weighs, and is the model's own no longer than
until the next `reset`.

Shapes: H heads, N = 64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import ConfigError
from rwkv_music.memory import save_memory
from rwkv_music.model.config import HEAD_SIZE, ModelConfig
from rwkv_music.model.rwkv import RwkvMusicModel, RwkvState
from rwkv_music.model.weights import Weights
from rwkv_music.tokenizer import load_vocabulary

from .batches import collate
from .config import WindowOptions
from .loss import Inputs, Objective
from .model import LayerState, Rwkv7
from .optimiser import tuning_rate
from .pieces import Piece
from .weights import model_of
from .windows import RandomWindows, Window, validation_windows

MOST_PARTS = 5  # into which the pieces are divided to see whether they help each other
FEWEST_TO_CHECK = 3  # pieces
CHECKED_WINDOWS = 16  # of each part
_KEEPS = 0.9  # of its direction, the descent from step to step
_AT_ONCE = 8  # windows that are told in one batch


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """steps of `batch` windows of `length` tokens. rate: how far the state of all layers moves in
    the first of them (its Euclidean length; later ones get shorter, to nothing). transpose:
    semitones up or down at most, by which the pieces are varied. check_every: steps between looks
    at what is kept aside.

    The windows are short, since what a state begins with is soon outweighed by what it hears.
    """

    steps: int = 16
    batch: int = 16
    length: int = 128
    rate: float = 1.5
    transpose: int = 3
    check_every: int = 8
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Tuned:
    """states: for each layer the WKV state [H, N (value), N (key)], float32. steps: after which it
    was enough. gains: by how many nats a target each part of the pieces was told better, after as
    many steps, by what the other parts had taught; empty where there were too few to look."""

    states: list[Tensor]
    steps: int
    gains: tuple[float, ...] = ()

    @property
    def gain(self) -> float:
        """The mean of the gains, in nats a target; 0 where nobody looked."""
        return sum(self.gains) / len(self.gains) if self.gains else 0.0


def tune_state(
    weights: Weights,
    pieces: Sequence[Piece],
    options: TuneOptions | None = None,
    progress: Callable[[float], None] = lambda loss: None,
) -> Tuned:
    """The state from which the frozen model tells these pieces best, as far as that is something
    they share. `progress` gets the nats a target of each step, of `most_steps` at most.

    Of three pieces or more, each (of many: each fifth) is kept aside once while a state is tuned on
    the others. How much better what is aside is told, on the average over all, says how many steps
    are enough; those are then made on all pieces. Raises ConfigError without pieces, and where what
    is aside is not told better by more than the standard error of that average: then beginning
    from nothing is better.
    """
    options = options or TuneOptions()
    if not pieces:
        raise ConfigError("no piece to learn from; see what was refused, and why")
    model = model_of(weights).eval().requires_grad_(False)
    parts = _parts(pieces)
    steps = options.steps
    gains: tuple[float, ...] = ()
    if parts:
        by_fold = np.array([_gains(model, parts, aside, options, progress) for aside in parts])
        best = int(by_fold.mean(0).argmax())
        steps = _every(options) * (best + 1)
        gains = tuple(map(float, by_fold[:, best]))
        if np.mean(gains) <= np.std(gains, ddof=1) / len(gains) ** 0.5:
            raise ConfigError(
                "what these pieces have in common, the model knows already: learning the others"
                f" changes the loss of a piece by {-np.mean(gains):+.4f} nats a token, which may be"
                " chance; choose pieces of one style, or more of them"
            )
    *_, states = islice(tuning(model, pieces, options, progress), steps)
    return Tuned(states, steps, gains)


def most_steps(pieces: int, options: TuneOptions) -> int:
    """How often `tune_state` calls its `progress` at most."""
    parts = min(pieces, MOST_PARTS) if pieces >= FEWEST_TO_CHECK else 0
    return (parts + 1) * options.steps


def _parts(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in up to MOST_PARTS parts; none where there are too few."""
    if len(pieces) < FEWEST_TO_CHECK:
        return []
    count = min(len(pieces), MOST_PARTS)
    return [list(pieces[first::count]) for first in range(count)]


def _every(options: TuneOptions) -> int:
    return min(options.check_every, options.steps)


def _gains(
    model: Rwkv7,
    parts: list[list[Piece]],
    aside: list[Piece],
    options: TuneOptions,
    progress: Callable[[float], None],
) -> list[float]:
    """By how many nats a target the part aside is told better than from the zero state, every
    `check_every` steps of tuning on the others."""
    windows = validation_windows(aside, load_vocabulary(), options.length, 0, CHECKED_WINDOWS)
    before = loss_from(model, windows, None)[0]
    others = [piece for part in parts if part is not aside for piece in part]
    every, ways = _every(options), tuning(model, others, options, progress)
    looks = islice(ways, every - 1, options.steps, every)
    return [before - loss_from(model, windows, states)[0] for states in looks]


def tuning(
    model: Rwkv7,
    pieces: Sequence[Piece],
    options: TuneOptions,
    progress: Callable[[float], None] = lambda loss: None,
) -> Iterator[list[Tensor]]:
    """Tuning without looking at anything kept aside: the state of each layer, [H, N (value),
    N (key)], after every step. The model is left as it is. `progress` gets each step's nats a
    target."""
    vocabulary, objective, config = load_vocabulary(), Objective(model), model.config
    windows = WindowOptions(
        length=options.length,
        context_bars=(0,),
        start_share=0.3,
        transpose=options.transpose,
        imprecise_share=0.0,
    )
    source = RandomWindows(list(pieces), vocabulary, windows, {}, options.seed)
    size = config.heads, HEAD_SIZE, HEAD_SIZE
    states = [torch.zeros(size, requires_grad=True) for _ in range(config.layers)]
    descent = [torch.zeros(size) for _ in states]
    for step in range(options.steps):
        rows = [source.window(step * options.batch + row) for row in range(options.batch)]
        inputs = Inputs.of(collate(rows, vocabulary))
        loss = objective(inputs, started(states, config, options.batch))[0]
        loss = loss / max(len(inputs.targets_R), 1)
        gradients = torch.autograd.grad(loss, states)
        _move(states, descent, gradients, tuning_rate(step, options.steps, options.rate))
        progress(loss.item())
        yield [state.detach().clone() for state in states]


@torch.no_grad()
def _move(
    states: Sequence[Tensor],
    descent: Sequence[Tensor],
    gradients: Sequence[Tensor],
    length: float,
) -> None:
    """The states of all layers, together so far along the mean of the latest gradients.

    Adam would move all numbers about as far, those too whose gradients are chance; with so few
    pieces that is most of them, and what it gains on these pieces others lose.
    """
    for mean, gradient in zip(descent, gradients, strict=True):
        mean.lerp_(gradient, 1 - _KEEPS)
    whole = torch.stack([mean.norm() for mean in descent]).norm().clamp_min(1e-20)
    for state, mean in zip(states, descent, strict=True):
        state.sub_(mean * (length / whole))


def started(states: Sequence[Tensor], config: ModelConfig, batch: int) -> list[LayerState]:
    """The same initial state for every row of a batch; nothing stands before the first token."""
    nothing = torch.zeros(batch, config.width)
    return [LayerState(nothing, nothing, state.expand(batch, *state.shape)) for state in states]


def loss_from(
    model: Rwkv7, windows: Sequence[Window], states: Sequence[Tensor] | None
) -> tuple[float, int]:
    """Nats a target over windows that begin in the tuned state, None: in the zero state, and the
    number of targets."""
    vocabulary, objective = load_vocabulary(), Objective(model.eval())
    nats, targets = 0.0, 0
    with torch.inference_mode():
        for first in range(0, len(windows), _AT_ONCE):
            rows = windows[first : first + _AT_ONCE]
            inputs = Inputs.of(collate(rows, vocabulary))
            before = None if states is None else started(states, model.config, len(rows))
            nats += objective(inputs, before)[0].item()
            targets += len(inputs.targets_R)
    return nats / max(targets, 1), targets


def write_memory(
    path: Path, weights: Weights, states: Sequence[Tensor], facts: dict[str, Any]
) -> None:
    """A tuned initial state as a memory of the model that these weights are. Raises
    CheckpointError."""
    vocabulary = load_vocabulary()
    engine = NumpyEngine(weights)
    music = RwkvMusicModel(engine, vocabulary, Path(weights.source).stem, weights.fingerprint)
    state = engine.new_state()
    layers = state.reshape(weights.config.layers, -1)  # a view: wkv, then the two shifts
    for layer, tuned in zip(layers, states, strict=True):
        values = tuned.numpy().astype(np.float32).reshape(-1)
        layer[: len(values)] = values
    logits = engine.step(state, vocabulary.bos)
    save_memory(path, music, RwkvState(state, logits), facts)
