"""A run on disk: weights, optimiser and progress in one safetensors file, replaced atomically."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rwkv_music.errors import CheckpointError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.weights import save_weights
from rwkv_music.tokenizer import load_vocabulary

from .config import ModelShape, TrainConfig, config_from_table, config_to_table
from .model import Rwkv7

FORMAT = "rwkv-music-run-1"
_MOMENTS = ("exp_avg", "exp_avg_sq")


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
) -> None:
    """Write everything that resuming to the bit needs."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})
        tensors |= {f"{m}.{name}": moments[m] for m in _MOMENTS if m in moments}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(config_to_table(config)),
        "progress": json.dumps(asdict(progress)),
        "vocabulary_hash": load_vocabulary().hash,
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    save_file({name: t.detach().contiguous() for name, t in tensors.items()}, part, metadata)
    os.replace(part, path)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as read from disk."""

    config: TrainConfig
    progress: Progress
    tensors: dict[str, torch.Tensor]

    def model(self) -> Rwkv7:
        """The run's model with its weights."""
        shape = self.config.model
        model = Rwkv7(model_config(shape), shape.dropout)
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
                "step": torch.tensor(float(self.progress.step)),
                **{moment: self.tensors[f"{moment}.{name}"].clone() for moment in _MOMENTS},
            }


def model_config(shape: ModelShape) -> ModelConfig:
    """The full config of a shape, for this package's vocabulary."""
    return ModelConfig.sized(shape.layers, shape.width, len(load_vocabulary()), enn=shape.enn)


def training_facts(stored: StoredRun) -> dict[str, Any]:
    """What the weights' metadata say about how they were made."""
    progress = stored.progress
    table = config_to_table(stored.config)
    table["run"].pop("folder")  # a path on somebody's machine
    table["data"].pop("folder")
    return {
        "steps": progress.step,
        "tokens_read": progress.tokens,
        "targets": progress.targets,
        "last_validation_loss": progress.validation[-1][1] if progress.validation else None,
        "settings": table,
    }


def load_run(path: Path) -> StoredRun:
    """Raises CheckpointError for what is no checkpoint of a run, or of another vocabulary."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: got {metadata.get('format')}, expected {FORMAT}")
    if metadata.get("vocabulary_hash") != load_vocabulary().hash:
        raise CheckpointError(f"{path}: trained with another vocabulary; start the run anew")
    config = config_from_table(json.loads(metadata["config"]), str(path))
    progress = json.loads(metadata["progress"])
    progress["validation"] = [tuple(row) for row in progress["validation"] or []]
    return StoredRun(config, Progress(**progress), tensors)


def export_weights(
    path: Path, model: Rwkv7, facts: dict[str, Any], *, bfloat16: bool = True
) -> None:
    """Write the model as the daemon loads it."""
    tensors = {name: t.detach().float().cpu().numpy() for name, t in model.state_dict().items()}
    save_weights(path, tensors, model.config, load_vocabulary().hash, facts, bfloat16=bfloat16)
