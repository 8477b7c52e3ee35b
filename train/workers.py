"""A function over many items in worker processes whose death or hanging is survived.

Built for files from strangers: a parser in native code may crash, loop or eat memory, and must
cost one item, not the run.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from rwkv_music.errors import RwkvMusicError
from rwkv_music.midi_isolated import limit_memory


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: its result, or the reason why there is none."""

    item: Any
    result: Any = None
    refused: str = ""


def surviving_map(
    function: Callable[[Any], Any], items: Sequence[Any], workers: int, limit_s: float = 60.0
) -> Iterator[Outcome]:
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
                if not worker.busy and given < len(items):
                    worker.give(given, items[given])
                    given += 1
            busy = [worker for worker in crew if worker.busy]
            ready = set(wait([worker.pipe for worker in busy], timeout=0.5))
            for worker in busy:
                if worker.pipe in ready:
                    early[worker.number] = worker.take()
                elif time.monotonic() - worker.since_s > limit_s:
                    early[worker.number] = worker.replace(f"took longer than {limit_s:g} s")
            while told in early:
                yield early.pop(told)
                told += 1
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.pipe: Connection
        self._process: SpawnProcess
        self.busy, self.since_s, self.number = False, 0.0, -1
        self._item: Any = None
        self._start()

    def _start(self) -> None:
        context = mp.get_context("spawn")  # a fork would copy the parent's threads' locks
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._function, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, number: int, item: Any) -> None:
        self.number, self._item = number, item
        self.busy, self.since_s = True, time.monotonic()
        with contextlib.suppress(OSError):  # it died between two items: `take` will find out
            self.pipe.send(item)

    def take(self) -> Outcome:
        try:
            result, refused = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return self.replace(f"the reader died of it (exit code {self._process.exitcode})")
        self.busy = False
        return Outcome(self._item, result, refused)

    def replace(self, reason: str) -> Outcome:
        self.stop()
        self.busy = False
        self._start()
        return Outcome(self._item, refused=reason)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


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
