"""What a configuration needs of this machine before the service can run with it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.memory import open_memory
from rwkv_music.model import open_checkpoint

from .config import Config
from .memories import MEMORIES, start_memory
from .models import EMBEDDED, MODELS

_SCRIPTED = "scripted"  # its "path" is the name of a script


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that is configured and cannot be used. what: its key and what is wrong."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def missing(config: Config) -> Iterator[Lack]:
    """What is configured and cannot be used, each with what to do."""
    yield from missing_packages(config)
    yield from unusable_model(config)
    yield from unusable_folders(config)


def missing_packages(config: Config) -> Iterator[Lack]:
    """What is asked for needs these."""
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
            yield Lack(f"{what}: {module} is not installed", f"pip install 'rwkv-music[{extra}]'")


def unusable_model(config: Config) -> Iterator[Lack]:
    """The checkpoint and the memory to begin from. They are opened and not loaded: the service may
    be running with them, and there is no room for two of the largest."""
    path = Path(config.model.path).expanduser().absolute() if config.model.path else None
    weights = None
    if config.model.engine == _SCRIPTED:
        pass
    elif path is not None and not path.is_file():
        yield Lack(f"model.path: there is no file {path}", "name one, or nothing: the embedded one")
    else:
        try:
            weights = open_checkpoint(str(path or ""))
        except CheckpointError as error:
            yield Lack(f"model.path: {error}", "or name another, or nothing: the embedded one")
    try:
        memory = start_memory(config)
        if memory is not None and weights is not None:
            open_memory(memory, path.stem if path else EMBEDDED, weights.fingerprint)
    except ConfigError as error:
        yield Lack(str(error), "`rwkv-music-daemon memory list` names them all")
    except CheckpointError as error:
        yield Lack(f"model.memory: {error}", "or choose another, or none")


def unusable_folders(config: Config) -> Iterator[Lack]:
    """Those in which the service keeps its things and cannot."""
    data = config.service.data_path
    written = [("service.data_dir", data), ("service.data_dir", data / MEMORIES)]
    if config.logging.folder:
        written.append(("logging.folder", Path(config.logging.folder).expanduser()))
    for key, folder in written:
        there = _nearest(folder)
        if wrong := _wrong(there, os.W_OK, "not to be written into"):
            where = f"choose another place than {folder}" if there != folder else "choose another"
            yield Lack(f"{key}: {there} is {wrong}", f"{where}, or let this user write there")
            if folder == data:
                return  # what is in it cannot be better
    models = data / MODELS
    if models.exists() and (wrong := _wrong(models, os.R_OK, "not to be read")):
        yield Lack(f"service.data_dir: {models} is {wrong}", "let this user read it")


def _nearest(folder: Path) -> Path:
    """A folder that is not there is made when it is needed, in the nearest one that is."""
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)


def _wrong(folder: Path, access: int, otherwise: str) -> str:
    """What keeps us from using it so; nothing where it can be used."""
    if folder.exists() and not folder.is_dir():
        return "no folder"
    return "" if os.access(folder, access | os.X_OK) else otherwise


def need(config: Config) -> None:
    """Raises ConfigError for what is missing."""
    found = [*map(str, missing(config))]
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
