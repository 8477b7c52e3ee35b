"""What a configuration needs of this machine before the service can run with it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from rwkv_music.errors import ConfigError

from .config import Config
from .memories import MEMORIES, Memories

_SCRIPTED = "scripted"  # its "path" is the name of a script


def missing(config: Config) -> Iterator[str]:
    """What is configured and is not there, each with what to do."""
    wanted = (
        (
            config.transport.source == "link" or config.transport.link,
            "transport.source: link",
            "link",
            "link",
        ),
        (config.model.engine == "torch", "model.engine: torch", "torch", "gpu"),
        (config.monitor.enabled, "monitor.enabled: true", "aiohttp", "monitor"),
    )
    for is_wanted, what, module, extra in wanted:
        if is_wanted and importlib.util.find_spec(module) is None:
            yield f"{what}: {module} is not installed: pip install 'rwkv-music[{extra}]'"
    path = config.model.path
    if path and config.model.engine != _SCRIPTED and not Path(path).expanduser().is_file():
        yield f"model.path: there is no file {path}"
    memories = Memories(config.service.data_path / MEMORIES)
    if (name := config.model.memory) and name not in memories.names():
        there = ", ".join(memories.names()) or "none"
        yield f"model.memory: there is no memory {name!r} in {memories.folder}; there are: {there}"
    yield from _unusable("service.data_dir", config.service.data_path)
    if config.logging.folder:
        yield from _unusable("logging.folder", Path(config.logging.folder).expanduser())


def _unusable(key: str, folder: Path) -> Iterator[str]:
    """A folder that is not there is made when it is needed, where that can be done."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        what = "no folder" if there.exists() and not there.is_dir() else "not to be written into"
        yield f"{key}: {there} is {what}; choose another place than {folder}"


def need(config: Config) -> None:
    """Raises ConfigError for what is missing."""
    found = [*missing(config)]
    if found:
        raise ConfigError("; ".join(found))


def relative_paths(config: Config) -> Iterator[tuple[str, str]]:
    """Keys whose paths depend on the folder that the service is started in, and their values."""
    paths = {
        "service.data_dir": config.service.data_dir,
        "logging.folder": config.logging.folder,
        "model.path": "" if config.model.engine == _SCRIPTED else config.model.path,
    }
    for key, value in paths.items():
        if value and not Path(value).expanduser().is_absolute():
            yield key, value
