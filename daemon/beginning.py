"""The state that music begins in: the named memory of the configuration."""

from __future__ import annotations

from typing import Any

from rwkv_music.errors import ConfigError
from rwkv_music.memory import load_memory
from rwkv_music.model.protocol import MusicModel

from .config import Config
from .memories import MEMORIES, Memories, shipped_memories


def load_start(config: Config, model: MusicModel[Any]) -> Any:
    """The state to begin in; None where no memory is configured. Raises ConfigError when there is
    no such memory, CheckpointError when it is another model's."""
    name = config.model.memory
    if not name:
        return None
    memories = Memories(config.service.data_path / MEMORIES, shipped_memories())
    path = memories.find(name) if name in memories.names() else None
    if path is None:
        there = ", ".join(memories.names()) or "none"
        raise ConfigError(f"model.memory: there is no memory {name!r}; there are: {there}")
    return load_memory(path, model)
