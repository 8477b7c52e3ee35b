"""Named memories, as requests see them: names, files, and who waits for an answer. Pure but for
looking into two folders."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from rwkv_music.errors import ConfigError

from .config import Config
from .messages import Memory
from .osc.arguments import OscError
from .osc.subscribers import Address

SUFFIX = ".safetensors"
MEMORIES = "memories"  # their folder, in the service's own
NAMES = "letters from a to z, digits, blanks, - and _, at most 64, first a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}", re.ASCII)


def shipped_memories() -> Path:
    """The folder of those that come with the embedded model: manners to begin in."""
    return Path(str(resources.files("rwkv_music").joinpath("data", MEMORIES)))


def start_memory(config: Config) -> Path | None:
    """The file of the memory to begin from; None where none is configured. Raises ConfigError when
    there is no such memory."""
    name = config.model.memory
    if not name:
        return None
    memories = Memories(config.service.data_path / MEMORIES, shipped_memories())
    try:
        path = memories.find(name)
    except OscError as error:
        raise ConfigError(f"model.memory: {error}") from error
    if path is None:
        there = ", ".join(memories.names()) or "none"
        raise ConfigError(f"model.memory: there is no memory {name!r}; there are: {there}")
    return path


class Memories:
    """The memories in `folder`, a file each, and those in `shipped`, which are only read: one of
    the same name in `folder` comes before them."""

    def __init__(self, folder: Path, shipped: Path | None = None) -> None:
        self.folder = folder
        self._shipped = shipped
        self._waiting: deque[tuple[Address, str]] = deque()  # answered in the order of asking

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    def names(self) -> tuple[str, ...]:
        """What there is, in alphabetical order."""
        return tuple(sorted({*self.own_names(), *_names_in(self._shipped)}))

    def own_names(self) -> tuple[str, ...]:
        """Those that were saved or made here."""
        return tuple(sorted(_names_in(self.folder)))

    def misnamed(self) -> tuple[str, ...]:
        """Files in our folder that nobody can ask for by their name."""
        there = _stems_in(self.folder)
        return tuple(f"{stem}{SUFFIX}" for stem in sorted(there) if not _NAME.fullmatch(stem))

    def find(self, name: str) -> Path | None:
        """The file to load; None where there is none. Raises OscError 422 for a name that no file
        can have."""
        own = self.path(name)
        if own.is_file() or self._shipped is None:
            return own if own.is_file() else None
        shipped = self._shipped / own.name
        return shipped if shipped.is_file() else None

    def save(self, sender: Address, name: str) -> Memory:
        """What the worker is to do. Raises OscError 422 for a name that no file can have."""
        path = self.path(name)
        self.make_folder()
        self._waiting.append((sender, "/rwkv/memory/save"))
        return Memory(name, str(path), save=True)

    def make_folder(self) -> None:
        """Raises OscError 500 when there can be none."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OscError(500, f"{self.folder}: cannot be made: {error.strerror}") from error

    def load(self, sender: Address, name: str) -> Memory:
        """What the worker is to do. Raises OscError 404 when there is no such memory."""
        path = self.find(name)
        if path is None:
            there = ", ".join(self.names()) or "none"
            raise OscError(404, f"no memory {name!r}; there are: {there}")
        self._waiting.append((sender, "/rwkv/memory/load"))
        return Memory(name, str(path), save=False)

    def finish(self, answer: Memory) -> Iterator[tuple[Address, str, tuple[Any, ...]]]:
        """The message that answers whoever asked."""
        if not self._waiting:
            return
        sender, address = self._waiting.popleft()
        if answer.error:
            yield sender, "/rwkv/error", (406, answer.error, address)
        else:
            yield sender, "/rwkv/memory", (answer.name,)

    def worker_lost(self) -> Iterator[tuple[Address, str, tuple[Any, ...]]]:
        """Nobody will answer those who wait."""
        while self._waiting:
            sender, address = self._waiting.popleft()
            reason = "the model's process ended before it was done"
            yield sender, "/rwkv/error", (500, reason, address)

    def path(self, name: str) -> Path:
        """Where a memory of ours is kept. Raises OscError 422 for a name that no file can have."""
        if not _NAME.fullmatch(name):
            raise OscError(422, f"name: expected {NAMES}, got {name!r}")
        return self.folder / f"{name}{SUFFIX}"


def _names_in(folder: Path | None) -> list[str]:
    return [stem for stem in _stems_in(folder) if _NAME.fullmatch(stem)]


def _stems_in(folder: Path | None) -> list[str]:
    return [] if folder is None else [path.stem for path in folder.glob(f"*{SUFFIX}")]
