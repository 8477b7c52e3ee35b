"""Reading strangers' MIDI files in a child process.

A native parser can be made to crash by a malformed file. Here it does so in a child: its death, or
its silence, becomes a MidiFileError, and the next file gets a new child.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType

from .errors import MidiFileError
from .midi_files import Reading, ReadOptions, read_midi

PathLike = str | os.PathLike[str]
Read = Callable[[PathLike, ReadOptions | None], Reading]
_TIMEOUT_S = 30.0
_MOST_MEMORY_BYTES = 4 << 30  # of address space; a file of the largest size needs a fraction


class IsolatedReader:
    """A child process that reads one file after another. Used from one thread at a time.

    The child is started with the first file. `read` is what the child runs (tests give another).
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S, read: Read = read_midi) -> None:
        self._timeout_s = timeout_s
        self._read = read
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> IsolatedReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, path: PathLike, options: ReadOptions | None = None) -> Reading:
        """The file's music. Raises MidiFileError, also when the child dies or takes too long."""
        pipe = self._connected()
        try:
            pipe.send((os.fspath(path), options))
            if not pipe.poll(self._timeout_s):
                self.close()
                raise MidiFileError(f"{path}: not read within {self._timeout_s:g} s")
            answer = pipe.recv()
        except (EOFError, OSError) as error:
            child = self._child
            if child is not None:
                child.join(1.0)
            code = None if child is None else child.exitcode
            self.close()
            raise MidiFileError(
                f"{path}: the MIDI parser died on it (exit code {code}); the file is malformed"
            ) from error
        if isinstance(answer, Reading):
            return answer
        raise MidiFileError(str(answer))

    def close(self) -> None:
        """End the child. Safe to call twice."""
        child, pipe = self._child, self._pipe
        self._child = self._pipe = None
        if pipe is not None:
            pipe.close()
        if child is not None:
            child.kill()
            child.join()
            child.close()

    def _connected(self) -> Connection:
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._child = context.Process(
                target=_serve, args=(theirs, self._read), name="midi-reader", daemon=True
            )
            self._child.start()
            theirs.close()  # so that its death ends the pipe
        return self._pipe


def read_isolated(
    path: PathLike, options: ReadOptions | None = None, timeout_s: float = _TIMEOUT_S
) -> Reading:
    """Read one file in a child process of its own. Raises MidiFileError."""
    with IsolatedReader(timeout_s) as reader:
        return reader.read(path, options)


def _serve(pipe: Connection, read: Read) -> None:
    """The child: answers each path with its Reading, or with a text that says what was wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    limit_memory()
    while True:
        try:
            path, options = pipe.recv()
        except EOFError:
            return
        answer: Reading | str
        try:
            answer = read(path, options)
        except MidiFileError as error:
            answer = str(error)
        except MemoryError:
            answer = f"{path}: reading it takes more memory than any piece of music should"
        pipe.send(answer)


def limit_memory() -> None:
    """Let this process have no more address space than reading a file can need. Only on Linux:
    macOS reserves too much of it, Windows has no limits."""
    if sys.platform != "linux":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > _MOST_MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, hard))
