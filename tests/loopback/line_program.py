"""A Python program in a process of its own with which a test talks in lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class LineProgram:
    """What it prints is read, and what it reads is printed, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def says(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().removesuffix("\n")

    def tell(self, line: object = "") -> None:
        print(line, file=self._process.stdin)

    def end(self) -> int:
        """There are no more lines; its exit code."""
        assert self._process.stdin
        self._process.stdin.close()
        return self._process.wait(10)


@contextmanager
def line_program(
    source: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[LineProgram]:
    with subprocess.Popen(
        [sys.executable, "-c", source, *arguments],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield LineProgram(process)
