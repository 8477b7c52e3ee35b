"""How the supervisor starts its children: a module each, told what it needs on standard input."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from rwkv_music.errors import ConfigError

from .config import Config, from_dict, to_dict
from .config_sections import LoggingConfig

_LOG_BYTES, _OLD_LOGS = 1_000_000, 3

# A terminal, or a service manager, sends these to all our processes at once.
ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@dataclass(frozen=True, slots=True)
class Boot:
    """What a child is told: what it is called, and the secret that opens the hubs at the two
    loopback ports."""

    name: str
    token: str
    supervisor_port: int
    io_port: int
    config: dict[str, Any]

    @classmethod
    def of(
        cls, name: str, config: Config, token: str, supervisor_port: int, io_port: int = 0
    ) -> Boot:
        return cls(name, token, supervisor_port, io_port, to_dict(config))

    def settings(self) -> Config:
        """The configuration, typed again."""
        return from_dict(self.config)


def start_child(module: str, boot: Boot, keeps_pipe: bool = False) -> subprocess.Popen[bytes]:
    """Run `python -m rwkv_music_daemon.MODULE`, and hand it the boot line.

    On standard input, because command lines and environments can be read by others. A pipe that is
    kept tells the child, by its end, that this process has ended. With -P, so that no module is
    taken from the folder in which the service was started.
    """
    with _ending_signals_wait():
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.{module}"],
            stdin=subprocess.PIPE,
        )
    if child.stdin is not None:
        try:
            child.stdin.write(json.dumps(asdict(boot)).encode() + b"\n")
            child.stdin.flush()
            if not keeps_pipe:
                child.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; its exit code tells
    return child


@contextlib.contextmanager
def _ending_signals_wait() -> Iterator[None]:
    """A child that is started meanwhile inherits that: they would end it while it imports, before
    it can say that it does not hear them. Windows has nothing like it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def read_boot() -> Boot:
    """In the child: what the supervisor handed over. The signals that end the service are the
    supervisor's to hear, which tells its children: io has notes to end first."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)  # see start_child
    boot = Boot(**json.loads(sys.stdin.buffer.readline()))
    start_log(boot.name, boot.settings().logging)
    return boot


def start_log(name: str, config: LoggingConfig) -> None:
    """One entry an event: time, level, process, message. Each process has a file of its own, since
    only one may rotate a file. Raises ConfigError when there can be none."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if config.folder:
        folder = Path(config.folder).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = RotatingFileHandler(
                folder / f"{name}.log", maxBytes=_LOG_BYTES, backupCount=_OLD_LOGS, encoding="utf-8"
            )
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"logging.folder: {folder}: {reason}; choose another") from error
    logging.basicConfig(
        level=config.level.upper(),
        format=f"%(asctime)s %(levelname)s {name}: %(message)s",
        handlers=[handler],
    )
