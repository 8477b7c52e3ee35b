"""The training loop: resumable to the bit, stopped by SIGTERM without loss."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import torch

from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.tokenizer import load_vocabulary

from .checkpoint import Progress, load_run, model_config, save_run
from .config import TrainConfig
from .evaluate import mean_loss
from .loss import Inputs, summed_loss
from .model import Rwkv7
from .optimiser import make_optimiser, rate_at, set_rate
from .pieces import read_pieces
from .windows import Batch, WindowSource, collate, validation_windows

CHECKPOINT = "checkpoint.safetensors"
VALIDATION_CONTEXT_BARS = 4
_NEW_MODEL_SEED = 1_000_003  # so that the weights and the windows do not share a sequence


class Trainer:
    """A run in its folder. Made anew, it continues from the folder's checkpoint, if there is one.

    The config may differ from the stored one in everything but the model's shape.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.folder = Path(config.run.folder)
        self.progress = Progress(validation=[])
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        self.vocabulary = load_vocabulary()
        data = Path(config.data.folder)
        pieces = read_pieces(data / "train.arrow", self.vocabulary)
        if not pieces:
            raise ConfigError(f"{data}: the training split is empty")
        self.windows = WindowSource(
            pieces,
            self.vocabulary,
            config.data.windows,
            config.data.set_weights,
            config.run.seed,
        )
        self.validation = validation_windows(
            read_pieces(data / "valid.arrow", self.vocabulary),
            self.vocabulary,
            config.data.windows.length,
            VALIDATION_CONTEXT_BARS,
            config.run.validation_windows,
        )
        torch.manual_seed(config.run.seed + _NEW_MODEL_SEED)
        self.model = Rwkv7(model_config(config.model), config.model.dropout)
        self.optimiser = make_optimiser(self.model, config.optimiser)
        self._resume()
        self._stop = False

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def run(self, report: Callable[[dict[str, float]], None]) -> bool:
        """Train to the last step; True when it was reached, False after SIGTERM or SIGINT.

        `report` gets a table of figures every `log_every` steps and after each validation.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        options, progress = self.config.run, self.progress
        before = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        nats, targets, tokens, since_s = 0.0, 0, 0, time.monotonic()
        try:
            while progress.step < options.steps and not self._stop:
                lost, counted, read, norm = self.step()
                nats, targets, tokens = nats + lost, targets + counted, tokens + read
                if progress.step % options.log_every == 0:
                    now_s = time.monotonic()
                    figures = {
                        "step": progress.step,
                        "loss": nats / max(targets, 1),
                        "rate": self.optimiser.param_groups[0]["lr"],
                        "gradient_norm": norm,
                        "tokens_per_s": tokens / (now_s - since_s),
                        "tokens": progress.tokens,
                    }
                    self._log(figures, report)
                    nats, targets, tokens, since_s = 0.0, 0, 0, now_s
                if progress.step % options.validate_every == 0 and self.validation:
                    self._validate(report)
                if progress.step % options.save_every == 0:
                    self.save()
            self.save()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return progress.step >= options.steps

    def step(self) -> tuple[float, int, int, float]:
        """One optimiser step: summed nats, targets, tokens read, gradient norm."""
        options, step = self.config.run, self.progress.step
        self.model.train()
        torch.manual_seed((options.seed << 32) + step)  # dropout, the same after a resume
        part = options.batch // options.accumulate
        first = step * options.batch
        batches = [
            self._batch(first + i * part, first + (i + 1) * part) for i in range(options.accumulate)
        ]
        targets = sum(len(batch.targets) for batch in batches)
        nats = 0.0
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16"):
                loss = summed_loss(self.model, Inputs.of(batch))
            (loss / max(targets, 1)).backward()
            nats += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimiser.clip)
        set_rate(self.optimiser, rate_at(step, options.steps, self.config.optimiser))
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        read = sum(batch.inputs.size for batch in batches)
        self.progress.step += 1
        self.progress.tokens += read
        self.progress.targets += targets
        return nats, targets, read, float(norm)

    def save(self) -> None:
        save_run(self.checkpoint, self.model, self.optimiser, self.config, self.progress)

    def _batch(self, first: int, stop: int) -> Batch:
        return collate([self.windows.window(n) for n in range(first, stop)], self.vocabulary)

    def _validate(self, report: Callable[[dict[str, float]], None]) -> None:
        in_bfloat16 = self.config.run.precision == "bfloat16"
        loss, _ = mean_loss(self.model, self.validation, self.vocabulary, in_bfloat16=in_bfloat16)
        if self.progress.validation is not None:
            self.progress.validation.append((self.progress.step, loss))
        self._log({"step": self.progress.step, "validation_loss": loss}, report)

    def _log(self, figures: dict[str, float], report: Callable[[dict[str, float]], None]) -> None:
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
        report(figures)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        stored = load_run(self.checkpoint)
        if stored.config.model != self.config.model:
            raise CheckpointError(
                f"{self.checkpoint}: holds {stored.config.model}, the config says"
                f" {self.config.model}; choose another run.folder"
            )
        stored.restore(self.model, self.optimiser)
        self.progress = stored.progress

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop = True
