"""Named memories, as requests see them: names, files, and who waits for an answer. Pure but for
looking into one folder."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .messages import Memory
from .osc.arguments import OscError
from .osc.subscribers import Address

SUFFIX = ".safetensors"
MEMORIES = "memories"  # their folder, in the service's own
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}", re.ASCII)


class Memories:
    """The memories in `folder`, a file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._waiting: deque[tuple[Address, str]] = deque()  # answered in the order of asking

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    def names(self) -> tuple[str, ...]:
        """What there is, in alphabetical order."""
        return tuple(sorted(path.stem for path in self.folder.glob(f"*{SUFFIX}")))

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
        path = self.path(name)
        if not path.is_file():
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
        """Where a memory is kept. Raises OscError 422 for a name that no file can have."""
        if not _NAME.fullmatch(name):
            raise OscError(
                422,
                "name: expected letters from a to z, digits, blanks, - and _, at most 64, first a"
                f" letter or digit, got {name!r}",
            )
        return self.folder / f"{name}{SUFFIX}"
