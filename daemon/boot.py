"""How the supervisor starts its children: a module each, told what it needs on standard input."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from .config import Config, from_dict, to_dict

# A terminal, or a service manager, sends these to all our processes at once.
ENDING_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@dataclass(frozen=True, slots=True)
class Boot:
    """What a child is told. `token` opens the hubs at the two loopback ports."""

    token: str
    supervisor_port: int
    io_port: int
    config: dict[str, Any]

    @classmethod
    def of(cls, config: Config, token: str, supervisor_port: int, io_port: int = 0) -> Boot:
        return cls(token, supervisor_port, io_port, to_dict(config))

    def settings(self) -> Config:
        """The configuration, typed again."""
        return from_dict(self.config)


def start_child(module: str, boot: Boot) -> subprocess.Popen[bytes]:
    """Run `python -m rwkv_music_daemon.MODULE`, and hand it the boot line.

    On standard input, because command lines and environments can be read by others.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.{module}"],
        stdin=subprocess.PIPE,
    )
    if child.stdin is not None:
        try:
            child.stdin.write(json.dumps(asdict(boot)).encode() + b"\n")
            child.stdin.close()
        except BrokenPipeError:
            pass  # it died at once; its exit code tells
    return child


def read_boot(name: str) -> Boot:
    """In the child: what the supervisor handed over. The signals that end the service are the
    supervisor's to hear, which tells its children: io has notes to end first."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    boot = Boot(**json.loads(sys.stdin.buffer.readline()))
    log_to_stderr(name, boot.settings().logging.level)
    return boot


def log_to_stderr(name: str, level: str) -> None:
    """One line an event: time, level, process, message."""
    logging.basicConfig(
        level=level.upper(),
        format=f"%(asctime)s %(levelname)s {name}: %(message)s",
        stream=sys.stderr,
    )
