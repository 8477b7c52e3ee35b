"""A run on disk: weights, optimiser and progress in one safetensors file, replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rwkv_music.atomic_file import flush, replacing
from rwkv_music.errors import CheckpointError
from rwkv_music.model.config import ModelConfig
from rwkv_music.tokenizer import load_vocabulary

from .config import TrainConfig, config_from_table, config_to_table
from .model import LayerState, Rwkv7

FORMAT = "rwkv-music-run-2"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_STATE = tuple(field.name for field in fields(LayerState))


@dataclass(slots=True)
class Progress:
    """How far a run is. validation: (step, nats a target), oldest first."""

    step: int = 0
    tokens: int = 0
    targets: int = 0
    validation: list[tuple[int, float]] | None = None


def save_run(
    path: Path,
    model: Rwkv7,
    optimiser: torch.optim.Optimizer,
    config: TrainConfig,
    progress: Progress,
    states: list[LayerState] | None = None,
) -> None:
    """Write everything that resuming to the bit needs; `states`: where rows that go on from step
    to step stand. Raises CheckpointError."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})
        tensors |= {f"{m}.{name}": moments[m] for m in _MOMENTS if m in moments}
    for layer, state in enumerate(states or ()):
        tensors |= {f"state.{layer}.{name}": getattr(state, name) for name in _STATE}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(config_to_table(config)),
        "model": json.dumps(asdict(model.config)),
        "progress": json.dumps(asdict(progress)),
        "vocabulary_hash": load_vocabulary().hash,
    }
    stored = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    try:
        with replacing(path) as part:
            save_file(stored, part, metadata)
            flush(part)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be written ({error}); is the disk full?") from error


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as read from disk. states: None where rows do not go on from step to step."""

    config: TrainConfig
    model_config: ModelConfig
    progress: Progress
    tensors: Mapping[str, Tensor]
    states: list[LayerState] | None = None

    def model(self) -> Rwkv7:
        """The run's model with its weights."""
        model = Rwkv7(self.model_config, self.config.model.dropout)
        self.restore(model)
        return model

    def restore(self, model: Rwkv7, optimiser: torch.optim.Optimizer | None = None) -> None:
        """Put the stored numbers into a model, and an optimiser, of the same shape."""
        prefix = "model."
        weights = {n[len(prefix) :]: t for n, t in self.tensors.items() if n.startswith(prefix)}
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(f"the run's weights do not fit the config: {error}") from error
        if optimiser is None or not self.progress.step:
            return
        for name, parameter in model.named_parameters():
            optimiser.state[parameter] = {
                "step": torch.tensor(float(self.progress.step), device=parameter.device),
                **{
                    moment: self.tensors[f"{moment}.{name}"].to(parameter.device, copy=True)
                    for moment in _MOMENTS
                },
            }


def training_facts(stored: StoredRun) -> dict[str, Any]:
    """What the weights' metadata say about how they were made."""
    progress = stored.progress
    table = config_to_table(stored.config)
    table["run"].pop("folder")  # a path on somebody's machine
    table["data"].pop("folder")
    table["model"]["start"] = Path(stored.config.model.start).name
    return {
        "steps": progress.step,
        "tokens_read": progress.tokens,
        "targets": progress.targets,
        "last_validation_loss": progress.validation[-1][1] if progress.validation else None,
        "settings": table,
    }


def is_run(path: Path) -> bool:
    """Whether the file says of itself that it is a checkpoint of a run, of whatever version."""
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("format", "")).startswith("rwkv-music-run-")
    except (OSError, SafetensorError):
        return False


def load_run(path: Path) -> StoredRun:
    """Raises CheckpointError for what is no checkpoint of a run, or of another vocabulary."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: got the format {metadata.get('format')}, expected {FORMAT}; is it the"
            " checkpoint.safetensors of a run of this version?"
        )
    if metadata.get("vocabulary_hash") != load_vocabulary().hash:
        raise CheckpointError(f"{path}: trained with another vocabulary; start the run anew")
    config = config_from_table(json.loads(metadata["config"]), str(path))
    model_config = ModelConfig(**json.loads(metadata["model"]))
    progress = json.loads(metadata["progress"])
    progress["validation"] = [tuple(row) for row in progress["validation"] or []]
    states = None
    if "state.0.wkv_BHNN" in tensors:
        states = [
            LayerState(*(tensors[f"state.{layer}.{name}"] for name in _STATE))
            for layer in range(model_config.layers)
        ]
    return StoredRun(config, model_config, Progress(**progress), tensors, states)
