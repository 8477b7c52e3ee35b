"""A style as a state: an initial state is tuned on a handful of pieces, the model stays as it is.

What comes out is a memory, as the daemon saves them itself: the state after BOS from the tuned
start, and the logits there. It weighs what a state weighs, and is the model's own no longer than
until the next `reset`.

Shapes: H heads, N = 64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

FEWEST_TO_CHECK = 3  # pieces, of which one is kept aside
CHECKED_WINDOWS = 6


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """steps of `batch` windows of `length` tokens, at a rate that falls from `rate` to nothing;
    transpose: semitones up or down at most, by which the pieces are varied. aside: how many pieces
    are kept aside; check_every: steps between looks at them."""

    steps: int = 60
    batch: int = 4
    length: int = 512
    rate: float = 0.05
    transpose: int = 3
    aside: int = 1
    check_every: int = 10
    seed: int = 0


def tune_state(
    weights: Weights,
    pieces: Sequence[Piece],
    options: TuneOptions | None = None,
    progress: Callable[[float], None] = lambda loss: None,
) -> list[Tensor]:
    """For each layer the WKV state [H, N (value), N (key)], float32, from which the frozen model
    tells these pieces best. `progress` gets the nats a target of each step.

    Of three pieces or more, the last (as many as `aside` says) is kept aside: the state is the one,
    of those on the way, that tells it best, so that what is learnt is what the pieces share. Raises
    ConfigError without pieces, and where the piece aside is told best from the zero state.
    """
    options = options or TuneOptions()
    if not pieces:
        raise ConfigError("no piece to learn from; see what was refused, and why")
    vocabulary = load_vocabulary()
    model = model_of(weights).eval().requires_grad_(False)
    aside: list[Window] = []
    if len(pieces) >= FEWEST_TO_CHECK:
        pieces, last = pieces[: -options.aside], pieces[-options.aside :]
        checked = CHECKED_WINDOWS if options.aside == 1 else 2 * options.aside
        aside = validation_windows(list(last), vocabulary, options.length, 0, checked)
    objective = Objective(model)
    windows = WindowOptions(
        length=options.length,
        context_bars=(0, 0, 1, 4),
        start_share=0.3,
        transpose=options.transpose,
        imprecise_share=0.0,
    )
    source = RandomWindows(list(pieces), vocabulary, windows, {}, options.seed)
    config = weights.config
    size = config.heads, HEAD_SIZE, HEAD_SIZE
    states = [torch.zeros(size, requires_grad=True) for _ in range(config.layers)]
    optimiser = torch.optim.Adam(states, lr=options.rate, betas=(0.9, 0.99))
    best = [torch.zeros(size)] * config.layers
    least = loss_from(model, aside, None)[0]
    for step in range(options.steps):
        rows = [source.window(step * options.batch + row) for row in range(options.batch)]
        inputs = Inputs.of(collate(rows, vocabulary))
        loss = objective(inputs, started(states, config, options.batch))[0]
        loss = loss / max(len(inputs.targets_R), 1)
        optimiser.param_groups[0]["lr"] = tuning_rate(step, options.steps, options.rate)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        progress(loss.item())
        if aside and (step + 1) % options.check_every == 0:
            found = loss_from(model, aside, states)[0]
            if found < least:
                least, best = found, [state.detach().clone() for state in states]
    if not aside:
        return [state.detach() for state in states]
    if not any(state.any() for state in best):
        raise ConfigError(
            "what these pieces have in common, the model knows already: the one that was kept aside"
            " is told best without a memory; choose pieces of one style, or a lower rate"
        )
    return best


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
        for window in windows:
            inputs = Inputs.of(collate([window], vocabulary))
            before = None if states is None else started(states, model.config, 1)
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
