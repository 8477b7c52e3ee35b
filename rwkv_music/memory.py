"""Named memories: a state and its facts on disk, to begin again from what was heard once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from .errors import CheckpointError
from .keys import NOTHING_HEARD
from .model.protocol import MusicModel
from .model.tensor_file import TensorFile, write_tensor_file
from .session import Start

S = TypeVar("S")

FORMAT = "rwkv-music-memory-1"
_WEIGHTS = "pitch_classes"  # the fact that says how long each sounds in a bar, in steps, C first


def save_memory(
    path: Path,
    model: MusicModel[S],
    state: S,
    facts: Mapping[str, Any] | None = None,
    bar_weights: Sequence[float] = NOTHING_HEARD,
) -> None:
    """Write a state, whole or not at all. `bar_weights`: of what it has heard, for `key auto` (see
    `Start`). Raises CheckpointError."""
    facts = dict(facts or {})
    if any(bar_weights):
        facts[_WEIGHTS] = [round(weight, 3) for weight in bar_weights]
    metadata = {
        "format": FORMAT,
        "model": model.name,
        "fingerprint": model.fingerprint,
        "facts": json.dumps(facts),
    }
    write_tensor_file(path, model.tensors_of(state), metadata, bfloat16=False)


def load_memory(path: Path, model: MusicModel[S]) -> Start[S]:
    """Where a session begins that begins from this file. Raises CheckpointError when it is no
    memory, or one of another model."""
    file = open_memory(path, model.name, model.fingerprint)
    try:
        state = model.state_of({name: file.read(name) for name in file.entries})
        return Start(state, _bar_weights(file.metadata.get("facts", "{}")))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def open_memory(path: Path, name: str, fingerprint: str) -> TensorFile:
    """The file, of which no tensor has been read. Raises CheckpointError when it is no memory, or
    not one of the model of this name and fingerprint."""
    file = TensorFile(path)
    if file.metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: no memory; it was not saved by /rwkv/memory/save")
    if file.metadata.get("fingerprint") != fingerprint:
        other = file.metadata.get("model", "another model")
        raise CheckpointError(
            f"{path}: a memory of {other}, which {name} cannot understand; load that model,"
            " or save the memory again"
        )
    return file


def _bar_weights(facts: str) -> tuple[float, ...]:
    """Those that the facts of a file tell; nothing where they tell none. Raises CheckpointError for
    nonsense."""
    try:
        weights = tuple(map(float, json.loads(facts).get(_WEIGHTS, NOTHING_HEARD)))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"its facts cannot be read: {error}; save it again") from error
    if len(weights) != 12 or not all(isfinite(weight) and weight >= 0 for weight in weights):
        raise CheckpointError(f"its fact {_WEIGHTS}: expected 12 numbers from 0; save it again")
    return weights
