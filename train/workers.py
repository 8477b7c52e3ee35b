"""A function over many items in worker processes whose death or hanging is survived.

Built for files from strangers: a parser in native code may crash, loop or eat memory, and must
cost one item, not the run.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from rwkv_music.errors import RwkvMusicError
from rwkv_music.midi_isolated import limit_memory

_AHEAD = 2  # jobs that a worker has at once, so that it need not wait for the next


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: its result, or the reason why there is none."""

    item: Any
    result: Any = None
    refused: str = ""


def surviving_map(
    function: Callable[[Any], Any], items: Sequence[Any], workers: int, limit_s: float = 60.0
) -> Generator[Outcome, None, None]:
    """`function` of each item, in the order of the items. Never raises for an item.

    function must be importable (it is sent to fresh processes). An item that takes longer than
    limit_s, or whose worker dies, is refused and the worker replaced.
    """
    given, told = 0, 0
    early: dict[int, Outcome] = {}  # outcomes that came before an older item's
    crew = [_Worker(function) for _ in range(min(workers, len(items)))]
    try:
        while told < len(items):
            for worker in crew:
                while len(worker.jobs) < _AHEAD and given < len(items):
                    worker.give(given, items[given])
                    given += 1
            busy = [worker for worker in crew if worker.jobs]
            ready = set(wait([worker.pipe for worker in busy], timeout=0.5))
            for worker in busy:
                number = worker.jobs[0][0]
                if worker.pipe in ready:
                    early[number] = worker.take()
                elif time.monotonic() - worker.since_s > limit_s:
                    early[number] = worker.replace(f"took longer than {limit_s:g} s")
            while told in early:
                yield early.pop(told)
                told += 1
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    """A process, and the jobs (number, item) that it was given, the one it works on first."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.pipe: Connection
        self._process: SpawnProcess
        self.jobs: deque[tuple[int, Any]] = deque()
        self.since_s = 0.0
        self._start()

    def _start(self) -> None:
        context = mp.get_context("spawn")  # a fork would copy the parent's threads' locks
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._function, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.since_s = time.monotonic()

    def give(self, number: int, item: Any) -> None:
        if not self.jobs:
            self.since_s = time.monotonic()
        self.jobs.append((number, item))
        self._send(item)

    def take(self) -> Outcome:
        """What became of the job that it worked on."""
        try:
            result, refused = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return self.replace(f"the reader died of it (exit code {self._process.exitcode})")
        self.since_s = time.monotonic()
        return Outcome(self.jobs.popleft()[1], result, refused)

    def replace(self, reason: str) -> Outcome:
        """Give up the job that it worked on; a new process gets those behind it."""
        self.stop()
        self._start()
        _, item = self.jobs.popleft()
        for _, waiting in self.jobs:
            self._send(waiting)
        return Outcome(item, refused=reason)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _send(self, item: Any) -> None:
        with contextlib.suppress(OSError):  # it died between two items: `take` will find out
            self.pipe.send(item)


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    limit_memory()
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((function(item), ""))
        except RwkvMusicError as error:
            pipe.send((None, str(error)))
        except MemoryError:
            pipe.send((None, "reading it takes more memory than any piece of music should"))
        except Exception as error:  # any bug met on a stranger's file costs that file alone
            pipe.send((None, f"{type(error).__name__}: {error}"))
