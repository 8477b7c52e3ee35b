"""Weights of an RWKV model on disk: official tensor names and shapes, our metadata, every check.

Metadata (all optional, so that official weights load once they are safetensors): `format`,
`config` (JSON), `vocabulary_hash`, `facts` (JSON: how the model was trained).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import CheckpointError
from ..tokenizer import Vocabulary
from .config import HEAD_SIZE, ModelConfig
from .tensor_file import FloatArray, StoredTensors, TensorFile, write_tensor_file

FORMAT = "rwkv-music-weights-1"
PACKED = "rwkv-music-packed-"  # how formats of packed_weights.py begin

# Names that tell other members of the family, whose state or equations differ from x070's.
_FOREIGN = (
    (re.compile(r"rosa", re.IGNORECASE), "an RWKV-8 ROSA hybrid"),
    (re.compile(r"\.ffn\.s_emb|\.(q|k|v)_emb|\.qkv\.|\.ffn\.s[012]$"), "RWKV v7a/v7b (DeepEmbed)"),
    (re.compile(r"\.att\.time_maa|\.att\.time_faaaa"), "RWKV-5.2 or RWKV-6 (x052, x060)"),
    (re.compile(r"\.time_(mix|decay|first)"), "RWKV-4, 5 or 6"),
    (re.compile(r"(^|\.)(attn|self_attn|transformer|encoder|decoder)\."), "no RWKV model"),
)
_UNUSED = re.compile(r"^blocks\.0\.att\.v[012]$")  # layer 0 has no value residual


@dataclass(frozen=True, slots=True)
class Weights:
    """A checkpoint: float32 tensors by official name and shape, all finite.

    `vocabulary_hash` is empty for weights that do not say for which tokens they were trained.
    """

    config: ModelConfig
    tensors: Mapping[str, FloatArray]
    vocabulary_hash: str = ""
    facts: Mapping[str, Any] | None = None
    source: str = "weights"

    @property
    def fingerprint(self) -> str:
        """Tells these weights from others: a hash of shapes, tokens and a sample of the values."""
        digest = hashlib.sha256(json.dumps(asdict(self.config)).encode())
        digest.update(self.vocabulary_hash.encode())
        for name in ("ln_out.weight", "ln_out.bias"):
            digest.update(np.ascontiguousarray(self.tensors[name], np.float32).tobytes())
        digest.update(np.ascontiguousarray(self.tensors["head.weight"][:8], np.float32).tobytes())
        return digest.hexdigest()

    def check_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Raises CheckpointError unless the model speaks these tokens."""
        check_vocabulary(self.config, self.vocabulary_hash, vocabulary, self.source)


def check_vocabulary(
    config: ModelConfig, vocabulary_hash: str, vocabulary: Vocabulary, source: str
) -> None:
    """Raises CheckpointError unless a model of these tokens speaks `vocabulary`."""
    if config.vocabulary != len(vocabulary):
        raise CheckpointError(
            f"{source}: the model has {config.vocabulary} tokens, the tokenizer"
            f" {len(vocabulary)}; choose a model trained with rwkv-music's vocabulary"
        )
    if vocabulary_hash and vocabulary_hash != vocabulary.hash:
        raise CheckpointError(
            f"{source}: trained on the vocabulary {vocabulary_hash[:12]}…, this"
            f" installation has {vocabulary.hash[:12]}…; install the version of rwkv-music"
            " that the model was trained with, or train it again"
        )


def check_memory(needed: int, source: str) -> None:
    """Raises CheckpointError, before anything is read, for what this machine cannot hold."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system: MemoryError will tell
        return
    if needed > memory:
        sizes = f"it needs {needed >> 20} MB here, this machine has {memory >> 20} MB"
        _refuse(source, sizes, "use a smaller model, or fewer bits")


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Official name and shape of every tensor that a model of this config has, in file order."""
    c, v = config.width, config.vocabulary
    ranks = {"w": config.rank_w, "a": config.rank_a, "v": config.rank_v, "g": config.rank_g}
    shapes: dict[str, tuple[int, ...]] = {"emb.weight": (v, c)}

    def layer_norm(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (c,)

    layer_norm("blocks.0.ln0")
    for i in range(config.layers):
        att, ffn = f"blocks.{i}.att", f"blocks.{i}.ffn"
        layer_norm(f"blocks.{i}.ln1")
        layer_norm(f"blocks.{i}.ln2")
        for name in ("x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "w0", "a0", "k_k", "k_a"):
            shapes[f"{att}.{name}"] = (1, 1, c)
        if i > 0:
            shapes[f"{att}.v0"] = (1, 1, c)
        for name, rank in ranks.items():
            if name != "v" or i > 0:
                shapes[f"{att}.{name}1"], shapes[f"{att}.{name}2"] = (c, rank), (rank, c)
        shapes[f"{att}.r_k"] = (config.heads, HEAD_SIZE)
        for name in ("receptance", "key", "value", "output"):
            shapes[f"{att}.{name}.weight"] = (c, c)
        layer_norm(f"{att}.ln_x")
        shapes[f"{ffn}.x_k"] = (1, 1, c)
        shapes[f"{ffn}.key.weight"], shapes[f"{ffn}.value.weight"] = (4 * c, c), (c, 4 * c)
        if config.enn:
            shapes[f"{ffn}.enn.weight"] = (v, c)
    layer_norm("ln_out")
    shapes["head.weight"] = (v, c)
    return shapes


def infer_config(shapes: Mapping[str, tuple[int, ...]], source: str = "weights") -> ModelConfig:
    """The config that official tensor shapes tell. Raises CheckpointError for other models."""
    for name in shapes:
        for pattern, family in _FOREIGN:
            if pattern.search(name):
                _refuse(source, f"{name} belongs to {family}", "only RWKV-7 (x070) and enn load")

    def shape(name: str) -> tuple[int, int]:
        got = shapes.get(name, ())
        if len(got) != 2:
            _refuse(source, f"{name}: expected a matrix, got {list(got) or 'none'}", "is it x070?")
        return got

    numbers = [int(m[1]) for name in shapes if (m := re.match(r"blocks\.(\d{1,6})\.", name))]
    layers = max(numbers, default=-1) + 1
    if not 0 < layers <= len(shapes):
        _refuse(source, f"{layers} layers in {len(shapes)} tensors", "is it an RWKV model?")
    vocabulary, width = shape("emb.weight")
    rank_w, rank_a, rank_g = (shape(f"blocks.0.att.{name}1")[1] for name in "wag")
    rank_v = shape("blocks.1.att.v1")[1] if layers > 1 else rank_w  # one layer has no residual
    enn = "blocks.0.ffn.enn.weight" in shapes
    return ModelConfig(layers, width, vocabulary, rank_w, rank_a, rank_v, rank_g, enn)


def load_weights(path: str | Path) -> Weights:
    """A safetensors checkpoint, memory-mapped: its tensors are read when they are asked for. Raises
    CheckpointError for anything unsound."""
    file = TensorFile(Path(path))
    source = str(path)
    if file.metadata.get("format", "").startswith(PACKED):
        _refuse(source, "its weights are quantised", "name the checkpoint that it was made from")
    shapes = {name: entry.shape for name, entry in file.entries.items()}
    config = infer_config(shapes, source)
    if "config" in file.metadata:
        stated = parse_config(file.metadata["config"], source)
        if config.layers == 1:  # nothing tells the size of a residual that is not there
            config = replace(config, rank_v=stated.rank_v)
        if stated != config:
            _refuse(source, f"{stated} contradicts its tensors, {config}", "save it again")
    names = _checked_names(shapes, config, source)
    tensors = StoredTensors(file, names)
    _check_finite(tensors, source)
    facts = parse_table(file.metadata.get("facts", "{}"), "facts", source)
    return Weights(config, tensors, file.metadata.get("vocabulary_hash", ""), facts, source)


def save_weights(
    path: str | Path,
    tensors: Mapping[str, FloatArray],
    config: ModelConfig,
    vocabulary_hash: str,
    facts: Mapping[str, Any],
    *,
    bfloat16: bool = False,
) -> None:
    """Write a checkpoint, all or nothing. `tensors` have official names and shapes; layer 0's
    unused value residual is left out. `bfloat16` halves the file, rounding to nearest even.

    Raises CheckpointError, before anything is written, for tensors that do not fit the config.
    """
    source = str(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    names = _checked_names(shapes, config, source)
    arrays = {name: np.asarray(tensors[name], np.float32) for name in names}
    _check_finite(arrays, source)
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(config)),
        "vocabulary_hash": vocabulary_hash,
        "facts": json.dumps(dict(facts)),
    }
    write_tensor_file(Path(path), arrays, metadata, bfloat16=bfloat16)


def _checked_names(
    shapes: Mapping[str, tuple[int, ...]], config: ModelConfig, source: str
) -> list[str]:
    """The names to use, in official order; every one there with its shape, and nothing else."""
    expected = tensor_shapes(config)
    for name, shape in expected.items():
        if name not in shapes:
            _refuse(source, f"{name} is missing", "the checkpoint is incomplete: save it again")
        if shapes[name] != shape:
            _refuse(
                source, f"{name}: expected {list(shape)}, got {list(shapes[name])}", str(config)
            )
    for name in shapes:
        if name not in expected and not _UNUSED.match(name):
            _refuse(source, f"{name} is unknown", "only RWKV-7 (x070) and enn load")
    return list(expected)


def _check_finite(tensors: Mapping[str, FloatArray], source: str) -> None:
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            count = int(tensor.size - np.isfinite(tensor).sum())
            _refuse(
                source, f"{name}: {count} values are no finite numbers", "the training diverged?"
            )


def parse_config(text: str, source: str) -> ModelConfig:
    table = parse_table(text, "config", source)
    if set(table) != {field.name for field in fields(ModelConfig)}:
        _refuse(source, f"its config has the keys {sorted(table)}", "save it with this version")
    return ModelConfig(**table)


def parse_table(text: str, what: str, source: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{source}: its {what} is no JSON ({error}); save it again"
        ) from error
    if not isinstance(table, dict):
        _refuse(source, f"its {what} is no JSON object", "save it again")
    return table


def _refuse(source: str, what: str, remedy: str) -> NoReturn:
    raise CheckpointError(f"{source}: {what}; {remedy}")
