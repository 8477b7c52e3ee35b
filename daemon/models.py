"""The models that can be swapped in, as requests see them: names, files, and who waits for an
answer. Pure but for looking into one folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .osc.arguments import OscError
from .osc.subscribers import Address

EMBEDDED = "starter"
MODELS = "models"  # the folder, in the service's own
SUFFIX = ".safetensors"


class Models:
    """The embedded model, and the checkpoints in `folder`: no other file can be named."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: Address | None = None

    def names(self) -> tuple[str, ...]:
        """What there is, in alphabetical order, the embedded one first."""
        return (EMBEDDED, *sorted(path.name for path in self._folder.glob(f"*{SUFFIX}")))

    def load(self, sender: Address, name: str) -> str:
        """The path of a model, for the supervisor; empty for the embedded one. Raises OscError: 404
        when there is no such model, 406 while another is on its way."""
        if self._waiting is not None:
            raise OscError(406, "another model is being loaded; wait until it plays")
        if name not in self.names():
            raise OscError(
                404, f"no model {name!r} in {self._folder}; there are: {', '.join(self.names())}"
            )
        self._waiting = sender
        return "" if name == EMBEDDED else str(self._folder / name)

    def finish(self, model: str, error: str = "") -> Iterator[tuple[Address, str, tuple[Any, ...]]]:
        """The message that answers whoever asked: the model plays, or an error says why not."""
        sender, self._waiting = self._waiting, None
        if sender is None:
            return
        if error:
            yield sender, "/rwkv/error", (406, error, "/rwkv/model/load")
        else:
            yield sender, "/rwkv/model", (model,)
