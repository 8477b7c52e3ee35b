"""A run from its settings to its end: processes, progress, TensorBoard."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from rwkv_music.model.config import ModelConfig
from rwkv_music.tokenizer import load_vocabulary

from .board import Board
from .config import ModelShape, TrainConfig
from .loop import Figures, Trainer
from .memory_use import peak_bytes
from .pieces import read_split
from .progress import ProgressLine
from .ranks import Ranks, joined
from .weights import load_model

BOARD = "tensorboard"


def train(config: TrainConfig) -> tuple[bool, Path | None]:
    """Train to the end, or until a signal; whether it is the end, and the checkpoint (None in all
    processes but the first)."""
    with joined(config.run.device) as ranks:
        return _trained(config, ranks)


def rehearse(config: TrainConfig) -> None:
    """Two steps with everything that a run does, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        run = replace(
            config.run,
            folder=folder,
            steps=2,
            validate_every=2,
            save_every=1,
            log_every=1,
            validation_windows=2,
            samples=min(config.run.samples, 1),
        )
        with joined(run.device) as ranks:
            _trained(replace(config, run=run), ranks)


def measure_steps(config: TrainConfig, steps: int = 2) -> tuple[float, int]:
    """Seconds a step, the first left out, and the most memory that was in use."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(replace(config, run=replace(config.run, folder=folder)))
        trainer.step()
        start = time.perf_counter()
        for _ in range(steps):
            trainer.step()
        if trainer.ranks.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps, peak_bytes(trainer.ranks.device)


def shape_of(shape: ModelShape) -> ModelConfig:
    """The config of the model that a run would begin with."""
    if shape.start:
        found = load_model(Path(shape.start)).config
        return replace(found, enn=found.enn or shape.enn)
    return ModelConfig.sized(shape.layers, shape.width, len(load_vocabulary()), enn=shape.enn)


def _trained(config: TrainConfig, ranks: Ranks) -> tuple[bool, Path | None]:
    """A function of its own, so that its trainer is gone before the processes part (see
    `ranks.joined`)."""
    trainer = Trainer(config, ranks)
    finished = _watched(trainer, ranks)
    return finished, trainer.checkpoint if ranks.first else None


def _watched(trainer: Trainer, ranks: Ranks) -> bool:
    if not ranks.first:
        return trainer.run(lambda figures: None)
    options = trainer.config.run
    valid = read_split(Path(trainer.config.data.folder), "valid", load_vocabulary())
    with ExitStack() as stack:
        line = stack.enter_context(ProgressLine(trainer.progress.step, options.steps))
        board = stack.enter_context(Board(trainer.folder / BOARD, valid, options.samples))

        def report(figures: Figures) -> None:
            line.show(figures)
            board.show(figures)

        return trainer.run(report, board.draw)
