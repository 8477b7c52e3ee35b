"""Where music begins: in the named memory of the configuration."""

from __future__ import annotations

from typing import Any

from rwkv_music.memory import load_memory
from rwkv_music.model.protocol import MusicModel
from rwkv_music.session import Start

from .config import Config
from .memories import start_memory


def load_start(config: Config, model: MusicModel[Any]) -> Start[Any] | None:
    """The memory to begin in; None where none is configured. Raises ConfigError when there is
    no such memory, CheckpointError when it is another model's."""
    path = start_memory(config)
    return None if path is None else load_memory(path, model)
