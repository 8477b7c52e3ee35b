"""Named memories: a state and its facts on disk, to begin again from what was heard once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from .errors import CheckpointError
from .model.protocol import MusicModel
from .model.tensor_file import TensorFile, write_tensor_file

S = TypeVar("S")

FORMAT = "rwkv-music-memory-1"


def save_memory(
    path: Path, model: MusicModel[S], state: S, facts: Mapping[str, Any] | None = None
) -> None:
    """Write a state, whole or not at all. Raises CheckpointError."""
    metadata = {
        "format": FORMAT,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "facts": json.dumps(dict(facts or {})),
    }
    write_tensor_file(path, model.tensors_of(state), metadata, bfloat16=False)


def load_memory(path: Path, model: MusicModel[S]) -> S:
    """The state that a file keeps. Raises CheckpointError when there is none, or when it is the
    state of another model."""
    file = TensorFile(path)
    if file.metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: no memory; it was not saved by /rwkv/memory/save")
    if file.metadata.get("fingerprint") != model.fingerprint:
        other = file.metadata.get("model", "another model")
        raise CheckpointError(
            f"{path}: a memory of {other}, which {model.name} cannot understand; load that model,"
            " or save the memory again"
        )
    try:
        return model.state_of({name: file.read(name) for name in file.entries})
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
