"""The figures of a run as a file: a line of JSON for each step that is told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from .text_files import write_text


class RunLog:
    """Grows by a line at a time. Made anew, it goes on behind what is there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, figures: Mapping[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")

    def forget_after(self, step: int) -> None:
        """A run that crashed has told of steps that it will take again. Raises ConfigError."""
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) <= step]
        if len(kept) < len(lines):
            write_text(self._path, "".join(kept))


def _step_of(line: str) -> float:
    """Infinite for a line that was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
