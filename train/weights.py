"""Models from weights and weights from models: fresh ones, exported ones, official ones."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rwkv_music.engine.native import absence, pack, remedy
from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.packed_weights import save_packed
from rwkv_music.model.weights import (
    Weights,
    infer_config,
    load_weights,
    save_weights,
    tensor_shapes,
)
from rwkv_music.tokenizer import load_vocabulary

from . import initialisation as start
from .checkpoint import is_run, load_run, training_facts
from .config import ModelShape
from .model import Rwkv7

_TRAINABLE = {"F64", "F32", "F16", "BF16"}


def new_model(shape: ModelShape) -> Rwkv7:
    """The model that a run begins with: start values from torch's generator, or the weights that
    `shape.start` names. Raises CheckpointError for weights that cannot be trained."""
    if not shape.start:
        vocabulary = len(load_vocabulary())
        config = ModelConfig.sized(shape.layers, shape.width, vocabulary, enn=shape.enn)
        return Rwkv7(config, shape.dropout)
    found = load_model(Path(shape.start))
    config = found.config
    model = Rwkv7(replace(config, enn=config.enn or shape.enn), shape.dropout)
    missing, _ = model.load_state_dict(found.state_dict(), strict=False)
    if any(not name.endswith(".ffn.enn.weight") for name in missing):  # those start at one
        raise CheckpointError(f"{shape.start}: it lacks {', '.join(missing)}; save it again")
    return model


def load_model(path: Path) -> Rwkv7:
    """A model that can be trained, from a run's checkpoint or from weights as `train export` and
    `train import` write them. Raises CheckpointError."""
    if is_run(path):
        return load_run(path).model()
    check_trainable(path)
    return model_of(load_weights(path))


def model_of(weights: Weights) -> Rwkv7:
    """Weights in memory as a model. Raises CheckpointError for another vocabulary's."""
    weights.check_vocabulary(load_vocabulary())
    model = Rwkv7(weights.config)
    model.load_state_dict({name: torch.tensor(t) for name, t in weights.tensors.items()})
    return model


def check_trainable(path: Path) -> None:
    """Raises CheckpointError for a file whose weights can play and not learn, with the reason."""
    if path.suffix in (".pth", ".pt", ".bin"):
        raise CheckpointError(
            f"{path}: a PyTorch file; turn it into weights of ours first: train import {path} -o"
            f" {path.with_suffix('.safetensors').name}"
        )
    try:
        with safe_open(path, framework="np") as file:
            kinds = {str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if kinds - _TRAINABLE:
        raise CheckpointError(
            f"{path}: holds quantised weights ({', '.join(sorted(kinds - _TRAINABLE))}), which have"
            " no gradients; train the weights they were made from"
        )


def playable_weights(path: Path | None = None) -> Weights:
    """Weights as the daemon loads them, from such a file or from a run's checkpoint; without one,
    those of the package. Raises CheckpointError, also for weights that cannot be trained."""
    if path is None:
        embedded = resources.files("rwkv_music") / "data" / "starter.safetensors"
        with resources.as_file(embedded) as file:
            return load_weights(file)
    if is_run(path):
        stored = load_run(path)
        return replace(weights_of(stored.model(), str(path)), facts=training_facts(stored))
    check_trainable(path)
    return load_weights(path)


def weights_of(model: Rwkv7, source: str = "a model in training") -> Weights:
    """The model as the engines read it: float32 on the CPU."""
    tensors = {name: t.detach().float().cpu().numpy() for name, t in model.state_dict().items()}
    return Weights(model.config, tensors, load_vocabulary().hash, {}, source)


def export_weights(
    path: Path,
    model: Rwkv7,
    facts: Mapping[str, Any],
    *,
    bfloat16: bool = True,
    bits: int | None = None,
) -> None:
    """Write the model as the daemon loads it. bits: 8 or 4, packed as the native engine multiplies
    them; memories made with the bfloat16 file fit that one too, since it is what gets quantised.
    Raises CheckpointError, and ConfigError where the compiled engine that packs is not there."""
    made = weights_of(model)
    if bits is None:
        _save(path, made, facts, bfloat16=bfloat16)
        return
    if reason := absence():
        raise ConfigError(
            f"--bits {bits}: the compiled engine quantises, and it is not there ({reason});"
            f" {remedy()}, or export without --bits"
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        whole = Path(folder) / "bfloat16.safetensors"
        _save(whole, made, facts, bfloat16=True)
        save_packed(path, pack(load_weights(whole), bits))


def _save(path: Path, made: Weights, facts: Mapping[str, Any], *, bfloat16: bool) -> None:
    save_weights(path, made.tensors, made.config, made.vocabulary_hash, facts, bfloat16=bfloat16)


def import_weights(path: Path, out: Path, *, new_tokens: bool, seed: int = 0) -> ModelConfig:
    """Official x070 weights (`.pth`, or safetensors with their names) as weights of ours.

    A `.pth` is read with `weights_only`: no code of it runs. Its tokens are not ours unless it was
    trained with this package's vocabulary: then, with `new_tokens`, embedding and head get start
    values for our tokens, and only what lies between is kept. Raises CheckpointError.
    """
    tensors = _official(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = infer_config(shapes, str(path))
    vocabulary = load_vocabulary()
    facts: dict[str, Any] = {"imported_from": path.name}
    if new_tokens:
        facts["new_tokens"] = f"embedding and head are start values, seed {seed}"
        config = replace(config, vocabulary=len(vocabulary))
        generator = torch.Generator().manual_seed(seed)
        tensors |= _fresh_tokens(config, generator)
    elif config.vocabulary != len(vocabulary):
        raise CheckpointError(
            f"{path}: speaks {config.vocabulary} tokens that are not ours ({len(vocabulary)});"
            " --new-tokens keeps the layers and begins the embedding and the head anew"
        )
    expected = tensor_shapes(config)
    arrays = {
        name: np.ascontiguousarray(tensor.float().numpy()) for name, tensor in tensors.items()
    }
    if new_tokens and config.enn:
        arrays |= {n: np.ones(s, np.float32) for n, s in expected.items() if ".enn." in n}
    save_weights(out, arrays, config, vocabulary.hash, facts, bfloat16=False)
    return config


def _official(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        weights = load_weights(path)
        return {name: torch.from_numpy(np.array(t)) for name, t in weights.tensors.items()}
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: no table of tensors that can be read safely ({first}); expected the .pth of"
            " an RWKV-7 (x070)"
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(t, Tensor) for t in loaded.values()):
        raise CheckpointError(f"{path}: expected a table of tensors, as official .pth files are")
    return {str(name): tensor for name, tensor in loaded.items()}


def _fresh_tokens(config: ModelConfig, generator: torch.Generator) -> dict[str, Tensor]:
    """Start values of the embedding and the head."""
    shape = config.vocabulary, config.width
    spread = start.EMBEDDING_SPREAD
    emb = (torch.rand(shape, generator=generator) * 2 - 1) * spread
    gaussian = torch.randn(max(shape), min(shape), generator=generator)
    q, r = torch.linalg.qr(gaussian)
    q = q * torch.sign(torch.diagonal(r))
    head = (q if shape[0] >= shape[1] else q.T) * start.head_gain(config)
    return {"emb.weight": emb, "head.weight": head}
