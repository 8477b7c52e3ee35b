"""Talks to a peer's process: one line of JSON there, one line back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

_ROOT = Path(__file__).parents[2]
_PLACES = (_ROOT / ".venv-peers/bin/python", _ROOT / ".venv-peers/Scripts/python.exe")


class PeerError(RuntimeError):
    """The peer is not installed, or its process ended."""


def interpreter() -> str:
    """That of `make bench-peers`; without it our own, which may have some of the peers."""
    return next((str(place) for place in _PLACES if place.exists()), sys.executable)


class Peer:
    """A running peer. `ask("step", 20)` gives the seconds of each of 20 calls; one that rests,
    and so takes no memory, starts again for it."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._command = [interpreter(), "-m", f"{__package__}.{module}", *map(str, arguments)]
        # A pipe could fill up. Closed by `close`.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process: subprocess.Popen[str] | None = None
        self.name: str = self._started()["name"]

    def _started(self) -> dict[str, Any]:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        ready: dict[str, Any] = self._line(self._process)
        return ready

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ask(self, what: str, count: int) -> list[float]:
        if self._process is None:
            self._started()
        assert self._process is not None  # it was started
        assert self._process.stdin is not None  # it was asked for as a pipe
        self._process.stdin.write(json.dumps([what, count]) + "\n")
        self._process.stdin.flush()
        seconds: list[float] = self._line(self._process)
        return seconds

    def rest(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=30)  # closes its input, at whose end it ends
            self._process = None

    def close(self) -> None:
        self.rest()
        self._errors.close()

    def _line(self, process: subprocess.Popen[str]) -> Any:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines()
            raise PeerError(lines[-1] if lines else f"ended with {code}")
        return json.loads(line)
