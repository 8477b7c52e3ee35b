"""Talks to a peer's process: one line of JSON there, one line back."""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any


class PeerError(RuntimeError):
    """The peer is not installed, or its process ended."""


class Peer:
    """A running peer. `ask("step", 20)` gives the seconds of each of 20 calls."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"benchmarks.peers.{module}", *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ready: dict[str, Any] = self._line()
        self.name: str = ready["name"]

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
        assert self._process.stdin is not None  # it was asked for as a pipe
        self._process.stdin.write(json.dumps([what, count]) + "\n")
        self._process.stdin.flush()
        seconds: list[float] = self._line()
        return seconds

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            lines = self._process.stderr.read().strip().splitlines()
            raise PeerError(lines[-1] if lines else f"ended with {self._process.wait()}")
        return json.loads(line)
