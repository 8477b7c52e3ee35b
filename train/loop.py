"""The training loop: resumable to the bit, stopped by SIGTERM without loss, in one process or
many."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import torch
from torch.nn.parallel import DistributedDataParallel

from rwkv_music.errors import CheckpointError, ConfigError, TrainingError
from rwkv_music.tokenizer import load_vocabulary

from .checkpoint import Progress, load_run, save_run
from .config import TrainConfig, write_config
from .evaluate import mean_loss
from .loss import Inputs, Objective
from .memory_use import peak_bytes
from .model import LayerState
from .optimiser import make_optimiser, rate_at, set_rate
from .pieces import read_split
from .ranks import Ranks
from .reading import make_reader
from .run_log import RunLog
from .weights import new_model
from .windows import validation_windows

CHECKPOINT = "checkpoint.safetensors"
VALIDATION_CONTEXT_BARS = 4
_NEW_MODEL_SEED = 1_000_003  # so that the weights and the windows do not share a sequence

Figures = dict[str, float]
Report = Callable[[Figures], None]


class Trainer:
    """A run in its folder. Made anew, it continues from the folder's checkpoint, if there is one.

    The config may differ from the stored one in everything but the model's shape.
    """

    def __init__(self, config: TrainConfig, ranks: Ranks | None = None) -> None:
        self.config, self.ranks = config, ranks or Ranks()
        self.folder = Path(config.run.folder)
        self._log = RunLog(self.folder / "log.jsonl")
        self.progress = Progress(validation=[])
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        run, data = config.run, Path(config.data.folder)
        self.vocabulary = load_vocabulary()
        pieces = read_split(data, "train", self.vocabulary)
        if not pieces:
            raise ConfigError(f"{data}: the training split is empty; see its refused.csv")
        self.reader = make_reader(pieces, self.vocabulary, config.data, run.batch, run.seed)
        self.validation = validation_windows(
            read_split(data, "valid", self.vocabulary),
            self.vocabulary,
            config.data.windows.length,
            VALIDATION_CONTEXT_BARS,
            run.validation_windows,
        )
        self._rows = self.ranks.share(run.batch // run.accumulate)
        torch.manual_seed(run.seed + _NEW_MODEL_SEED)
        self.model = new_model(config.model).to(self.ranks.device)
        self.model.recompute = run.recompute
        self.optimiser = make_optimiser(self.model, config.optimiser)
        self._states: list[list[LayerState]] = []  # for each part of a step, where its rows stand
        self._resume()
        if run.compile:
            compile_blocks(self.model.blocks)
        self._objective: torch.nn.Module = Objective(self.model)
        if self.ranks.count > 1:
            self._objective = DistributedDataParallel(self._objective)
        self._stop = False

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def run(self, report: Report, draw: Callable[[Trainer], None] = lambda _: None) -> bool:
        """Train to the last step; True when it was reached, False after SIGTERM or SIGINT.

        `report` gets a table of figures every `log_every` steps and after each validation, `draw`
        the trainer after each validation; both in the first process alone.
        """
        options, progress = self.config.run, self.progress
        if self.ranks.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_config(self.folder / "config.yaml", self.config)
        meter = _Meter()
        with self._signals():
            while progress.step < options.steps and not self._stopping():
                meter.add(*self.step())
                last = progress.step == options.steps  # what came of the run is always told
                if last or progress.step % options.log_every == 0:
                    self._tell(
                        {
                            "step": progress.step,
                            **meter.read(),
                            "rate": self.optimiser.param_groups[0]["lr"],
                            "tokens": progress.tokens,
                            "memory_gb": peak_bytes(self.ranks.device) / 1e9,
                        },
                        report,
                    )
                if (last or progress.step % options.validate_every == 0) and self.validation:
                    self._validate(report)
                    if self.ranks.first:
                        draw(self)
                if progress.step % options.save_every == 0:
                    self.save()
            self.save()
        return progress.step >= options.steps

    def step(self) -> tuple[float, int, int, float]:
        """One optimiser step: summed nats, targets and tokens read, of all processes, and the norm
        of the gradient."""
        options, step = self.config.run, self.progress.step
        self.model.train()
        torch.manual_seed((options.seed << 32) + (step << 12) + self.ranks.rank)  # dropout
        part = options.batch // options.accumulate
        batches = [
            self.reader.read(step, range(i * part + self._rows.start, i * part + self._rows.stop))
            for i in range(options.accumulate)
        ]
        counts = self.ranks.summed(
            sum(len(batch.targets) for batch in batches),
            sum(batch.inputs.size for batch in batches),
        )
        targets, read = (int(count) for count in counts)
        sums, after = [], []
        for number, batch in enumerate(batches):
            before = self._states[number] if self._states else None
            with self._synchronised(number + 1 == len(batches)):
                with self._autocast():
                    loss, ends = self._objective(Inputs.of(batch, self.ranks.device), before)
                # DDP takes the mean over processes; what is wanted is the sum over targets
                (loss * (self.ranks.count / max(targets, 1))).backward()
            sums.append(loss.detach())
            if self.reader.carries:
                after.append([end.detached() for end in ends])
        self._states = after
        # Read once all parts are under way: a GPU need not wait for this process between them.
        (nats,) = self.ranks.summed(sum(part.item() for part in sums))
        clip = self.config.optimiser.clip
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip))
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {step}: the gradient is {norm} and would have spoilt all weights; the last"
                " checkpoint is as it was: try a lower optimiser.rate, or run.precision=float32"
            )
        set_rate(self.optimiser, rate_at(step, options.steps, self.config.optimiser))
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += read
        self.progress.targets += targets
        return nats, targets, read, norm

    def save(self) -> None:
        """Write the checkpoint. Called by all processes, written by the first."""
        states = self._gathered_states()
        if self.ranks.first:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_run(
                self.checkpoint, self.model, self.optimiser, self.config, self.progress, states
            )
        self.ranks.wait()

    def _autocast(self) -> AbstractContextManager[None]:
        in_bfloat16 = self.config.run.precision == "bfloat16"
        return torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=in_bfloat16)

    def _synchronised(self, last: bool) -> AbstractContextManager[None]:
        """Gradients are exchanged once a step, after the last of its parts."""
        if last or not isinstance(self._objective, DistributedDataParallel):
            return nullcontext()
        return self._objective.no_sync()

    def _stopping(self) -> bool:
        """Whether any process was asked to stop."""
        return self.ranks.summed(self._stop)[0] > 0

    def _gathered_states(self) -> list[LayerState] | None:
        """Where all rows of a step stand, in their order; None where rows do not go on."""
        if not self._states:
            return None
        parts = [
            [
                LayerState(*(self.ranks.gathered(tensor) for tensor in _tensors(layer)))
                for layer in states
            ]
            for states in self._states
        ]
        return [
            LayerState(
                *(torch.cat(tensors) for tensors in zip(*map(_tensors, layers), strict=True))
            )
            for layers in zip(*parts, strict=True)
        ]

    def _validate(self, report: Report) -> None:
        """All processes wait while the first measures."""
        if self.ranks.first:
            in_bfloat16 = self.config.run.precision == "bfloat16"
            loss, _ = mean_loss(
                self.model, self.validation, self.vocabulary, in_bfloat16=in_bfloat16
            )
            if self.progress.validation is not None:
                self.progress.validation.append((self.progress.step, loss))
            self._tell({"step": self.progress.step, "validation_loss": loss}, report)
        self.ranks.wait()

    def _tell(self, figures: Figures, report: Report) -> None:
        if self.ranks.first:
            self._log.add(figures)
            report(figures)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        stored = load_run(self.checkpoint)
        if stored.model_config != self.model.config:
            raise CheckpointError(
                f"{self.checkpoint}: holds {stored.model_config}, the config says"
                f" {self.model.config}; choose another run.folder"
            )
        stored.restore(self.model, self.optimiser)
        self.progress = stored.progress
        if self.ranks.first:
            self._log.forget_after(self.progress.step)
        if stored.states and self.reader.carries:
            self._states = self._own_states(stored.states)

    def _own_states(self, states: list[LayerState]) -> list[list[LayerState]]:
        """This process's rows of each part of a step."""
        options, device = self.config.run, self.ranks.device
        if len(states[0].wkv_BHNN) != options.batch:
            raise CheckpointError(
                f"{self.checkpoint}: {len(states[0].wkv_BHNN)} rows go on, run.batch is"
                f" {options.batch}; keep it, or choose another run.folder"
            )
        part = options.batch // options.accumulate
        return [
            [
                LayerState(
                    *(
                        tensor[first + self._rows.start : first + self._rows.stop].to(device)
                        for tensor in _tensors(layer)
                    )
                )
                for layer in states
            ]
            for first in range(0, options.batch, part)
        ]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop = True


class _Meter:
    """What the last steps came to."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._nats, self._targets, self._tokens, self._norm = 0.0, 0, 0, 0.0
        self._since_s = time.monotonic()

    def add(self, nats: float, targets: int, tokens: int, norm: float) -> None:
        self._nats, self._targets = self._nats + nats, self._targets + targets
        self._tokens, self._norm = self._tokens + tokens, norm

    def read(self) -> Figures:
        """The figures since the last reading."""
        now_s = time.monotonic()
        figures = {
            "loss": self._nats / max(self._targets, 1),
            "gradient_norm": self._norm,
            "tokens_per_s": self._tokens / (now_s - self._since_s),
        }
        self._begin()
        return figures


def compile_blocks(blocks: Iterable[torch.nn.Module]) -> None:
    """All blocks share one code, which is compiled for the first, the last and those between, for
    training and for judging, and anew when shapes turn out to vary: PyTorch would stop at eight."""
    import torch._dynamo

    torch._dynamo.config.recompile_limit = 32
    for block in blocks:
        block.compile()


def _tensors(state: LayerState) -> tuple[torch.Tensor, ...]:
    return state.att_shift_BC, state.ffn_shift_BC, state.wkv_BHNN
