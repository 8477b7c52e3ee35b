"""What JACK servers of one user share, and how several benches get along with it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_NAMES = 4
_STRAYS_S = 1.0


def take_name() -> tuple[str, IO[str]]:
    """One of a few names that nobody else uses now, and the lock that says so. JACK keeps the name
    of a server that crashed for ever, and knows eight; the same name again gives the place back."""
    for number in range(_NAMES):
        name = f"rwkv-rig-{number}"
        path = Path(tempfile.gettempdir(), f"{name}.lock")
        lock = path.open("w")
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _end_strays(name):
                return name, lock
        lock.close()
    raise RuntimeError(f"{_NAMES} JACK servers of this kind are running already")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Servers share a database of their clients' properties, which the last one to end removes and
    the next one makes. So that they do not meet there, they come and go one after the other."""
    with Path(tempfile.gettempdir(), "rwkv-rig.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def drop_broken_database() -> bool:
    """Remove the shared database if nobody has it open; whether that was so. One that was left by a
    server killed at the wrong moment stays locked, and every server after it hangs at its start."""
    database = Path(f"/dev/shm/jack_db-{os.getuid()}")
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if opened.readlink().is_relative_to(database):
                return False
    shutil.rmtree(database, ignore_errors=True)
    return True


def _end_strays(name: str) -> bool:
    """End servers of a name that we hold the lock of, which an earlier bench left behind; whether
    they are gone."""
    ends_s = time.monotonic() + _STRAYS_S
    while strays := [pid for pid, words in _processes() if words[:3] == ["jackd", "-n", name]]:
        if time.monotonic() > ends_s:
            return False
        for pid in strays:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return True


def _processes() -> Iterator[tuple[int, list[str]]]:
    """The id and the words of each process; the program without its folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            program, *words = (process / "cmdline").read_text(errors="replace").split("\0")
            yield int(process.name), [Path(program).name, *words]
