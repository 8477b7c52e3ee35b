"""A style as a state: what the model's state is like after music of that style, tuned on it from
there. The model stays as it is.

What comes out is a memory, as the daemon saves them itself: the state after BOS from that start,
and the logits there. It weighs what a state weighs, and is the model's own no longer than until the
next `reset`.

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
from numpy.typing import NDArray
from torch import Tensor

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import ConfigError
from rwkv_music.memory import save_memory
from rwkv_music.model.config import ModelConfig
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
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the heard state, that are tried
UNCHECKED_SHARE = 0.5  # where nothing can be tried
HEARD_LENGTH = 256  # tokens of a window that is heard
HEARD_WINDOWS = 32  # of each part
CHECKED_WINDOWS = 24  # of each part
_KEEPS = 0.9  # of its direction, the descent from step to step
_AT_ONCE = 8  # windows that are told in one batch

States = list[Tensor]  # for each layer the WKV state [H, N (value), N (key)], float32
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """steps, at most, of `batch` windows of `length` tokens. rate: how far the state of all layers
    moves in the first of them, as a share of the heard state's Euclidean length (later steps get
    shorter, to nothing). check_every: steps between looks at what is kept aside.

    The windows are short, since what a state begins with is soon outweighed by what it hears.
    """

    steps: int = 12
    batch: int = 16
    length: int = 128
    rate: float = 0.004
    check_every: int = 4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Tuned:
    """states: what to begin in. share: of the heard state, where the tuning began. steps: after
    which it was enough, 0 where it was of no use. gains: by how many nats a target each part of the
    pieces was told better from a state that was made of the other parts in the same way; empty
    where there were too few to look."""

    states: States
    share: float
    steps: int
    gains: tuple[float, ...] = ()

    @property
    def gain(self) -> float:
        """The mean of the gains, in nats a target; 0 where nobody looked."""
        return sum(self.gains) / len(self.gains) if self.gains else 0.0


@dataclass(frozen=True, slots=True)
class _Fold:
    """One part kept aside. windows: of it; before: their nats a target from the zero state. others:
    the pieces of the other parts; heard: the mean state after those."""

    windows: Sequence[Window]
    before: float
    others: Sequence[Piece]
    heard: States

    def gain(self, model: Rwkv7, states: States) -> float:
        """By how many nats a target the part is told better from these states."""
        return self.before - loss_from(model, self.windows, states)[0]


def tune_state(
    weights: Weights,
    pieces: Sequence[Piece],
    options: TuneOptions | None = None,
    progress: Progress = lambda loss: None,
) -> Tuned:
    """The state from which the frozen model tells these pieces best, as far as that is something
    they share. `progress` gets the nats a target of each part that is heard and of each step, of
    `most_steps` at most.

    It begins as a share of the mean state after some bars of the pieces, and is tuned from there.
    Of three pieces or more, each (of many: each fifth) is kept aside once while the others are
    heard and tuned on. How much better what is aside is told, on the average over all, says which
    share is best, and which number of steps, if any helps by more than its standard error; both
    are then made of all pieces. Fewer are heard, and not tuned on. Raises ConfigError without
    pieces, and where what is aside is not told better by more than the standard error of that
    average: then beginning from nothing is better.
    """
    options = options or TuneOptions()
    if not pieces:
        raise ConfigError("no piece to learn from; see what was refused, and why")
    model = model_of(weights).eval().requires_grad_(False)
    parts = _parts(pieces)
    heard = []
    for part in parts:
        states, loss = heard_states(model, part)
        heard.append(states)
        progress(loss)
    whole = _mean(heard)
    if len(pieces) < FEWEST_TO_CHECK:
        return Tuned(_scaled(whole, UNCHECKED_SHARE), UNCHECKED_SHARE, 0)
    folds = [_fold(model, parts, heard, aside, options.length) for aside in range(len(parts))]
    by_share = [[fold.gain(model, _scaled(fold.heard, s)) for s in SHARES] for fold in folds]
    gains, best = _best(np.array(by_share))
    share, steps = SHARES[best], 0
    if options.steps:
        by_look = [_gains_on_the_way(model, fold, share, options, progress) for fold in folds]
        tuned_gains, look = _best(np.array(by_look))
        if _is_sure(tuned_gains - gains):
            gains, steps = tuned_gains, _every(options) * (look + 1)
    if not _is_sure(gains):
        raise ConfigError(
            "what these pieces have in common, the model knows already: learning the others"
            f" changes the loss of a piece by {-np.mean(gains):+.4f} nats a token, which may be"
            " chance; choose pieces of one style, or more of them"
        )
    states = _scaled(whole, share)
    if steps:
        *_, states = islice(tuning(model, pieces, whole, share, options, progress), steps)
    return Tuned(states, share, steps, tuple(map(float, gains)))


def most_steps(pieces: int, options: TuneOptions) -> int:
    """How often `tune_state` calls its `progress` at most."""
    parts = min(pieces, MOST_PARTS)
    return parts + ((parts + 1) * options.steps if pieces >= FEWEST_TO_CHECK else 0)


def _parts(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The pieces in up to MOST_PARTS parts."""
    count = min(len(pieces), MOST_PARTS)
    return [list(pieces[first::count]) for first in range(count)]


def _fold(
    model: Rwkv7, parts: list[list[Piece]], heard: list[States], aside: int, length: int
) -> _Fold:
    windows = validation_windows(parts[aside], load_vocabulary(), length, 0, CHECKED_WINDOWS)
    before = loss_from(model, windows, None)[0]
    others = [piece for number, part in enumerate(parts) if number != aside for piece in part]
    return _Fold(windows, before, others, _mean(heard[:aside] + heard[aside + 1 :]))


def _best(gains: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Of gains [parts, ways], those of the way whose mean is the highest, and which it is."""
    best = int(gains.mean(0).argmax())
    return gains[:, best], best


def _is_sure(gains: NDArray[np.float64]) -> bool:
    """Whether their mean is above its standard error."""
    return bool(gains.mean() > gains.std(ddof=1) / len(gains) ** 0.5)


def _every(options: TuneOptions) -> int:
    return min(options.check_every, options.steps)


def _gains_on_the_way(
    model: Rwkv7, fold: _Fold, share: float, options: TuneOptions, progress: Progress
) -> list[float]:
    """The gain of the part aside, every `check_every` steps of tuning on the others."""
    every = _every(options)
    way = tuning(model, fold.others, fold.heard, share, options, progress)
    return [fold.gain(model, states) for states in islice(way, every - 1, options.steps, every)]


@torch.no_grad()
def heard_states(model: Rwkv7, pieces: Sequence[Piece]) -> tuple[States, float]:
    """The mean of the states in which the model is after windows that are spread evenly over the
    pieces, and their nats a target. Each window is heard from the zero state, as it was played: in
    other keys, tempos or degrees of loudness it would tell less of who played it."""
    vocabulary, objective = load_vocabulary(), Objective(model)
    windows = validation_windows(list(pieces), vocabulary, HEARD_LENGTH, 0, HEARD_WINDOWS)
    ends, nats, targets = [], 0.0, 0
    for window in windows:  # one by one: padding would be heard, too
        inputs = Inputs.of(collate([window], vocabulary, multiple=1))
        loss, states = objective(inputs)
        ends.append([state.wkv_BHNN[0] for state in states])
        nats, targets = nats + loss.item(), targets + len(inputs.targets_R)
    return _mean(ends), nats / max(targets, 1)


def _mean(several: Sequence[States]) -> States:
    return [torch.stack(layer).mean(0) for layer in zip(*several, strict=True)]


def _scaled(states: States, share: float) -> States:
    return [share * state for state in states]


def _length(states: Sequence[Tensor]) -> Tensor:
    """Euclidean, of all layers together."""
    lengths: Tensor = torch.stack([state.norm() for state in states])
    return lengths.square().sum().sqrt().clamp_min(1e-20)


def tuning(
    model: Rwkv7,
    pieces: Sequence[Piece],
    heard: States,
    share: float,
    options: TuneOptions,
    progress: Progress = lambda loss: None,
) -> Iterator[States]:
    """Tuning from a share of what was heard, without looking at anything kept aside: the states
    after every step. The model is left as it is. `progress` gets each step's nats a target."""
    vocabulary, objective = load_vocabulary(), Objective(model)
    windows = WindowOptions(
        length=options.length,
        context_bars=(0,),
        transpose=0,
        tempo_classes=0,
        velocity_classes=0,
        imprecise_share=0.0,
    )
    source = RandomWindows(list(pieces), vocabulary, windows, {}, options.seed)
    states = [state.clone().requires_grad_() for state in _scaled(heard, share)]
    descent = [torch.zeros_like(state) for state in heard]
    rate = options.rate * _length(heard).item()
    for step in range(options.steps):
        rows = [source.window(step * options.batch + row) for row in range(options.batch)]
        inputs = Inputs.of(collate(rows, vocabulary))
        loss = objective(inputs, started(states, model.config, options.batch))[0]
        loss = loss / max(len(inputs.targets_R), 1)
        gradients = torch.autograd.grad(loss, states)
        _move(states, descent, gradients, tuning_rate(step, options.steps, rate))
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
    whole = _length(descent)
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
