"""What a configuration needs of this machine before the service can run with it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from rwkv_music.errors import ConfigError

from .config import Config

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
