"""The service as a user runs it: real processes, told only what a user can tell."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

from .children import end_with_parent

_START_S = 30.0
_STOP_S = 10.0
_ROLES = ("io", "worker")
COMMAND = (sys.executable, "-c", "from rwkv_music_daemon.cli import main; main()")


class Service:
    """`rwkv-music-daemon run` on the JACK server of `env`, with the scripted model unless
    `settings` say otherwise. Raises RuntimeError, with what it said, when it does not come up."""

    def __init__(
        self,
        env: Mapping[str, str],
        settings: Mapping[str, object] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self._folder = None if data_dir else tempfile.TemporaryDirectory(prefix="rwkv-music-")
        self.data_dir = data_dir or Path(self._folder.name if self._folder else "")
        self.osc_port = free_udp_port()
        self._env = dict(env)
        self._settings = {
            "midi.api": "jack",
            "model.engine": "scripted",
            "osc.port": self.osc_port,
            "service.data_dir": self.data_dir,
            **(settings or {}),
        }
        self.osc_port = int(str(self._settings["osc.port"]))
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  it lives as long as this
        self.process = self._start()

    def __enter__(self) -> Service:
        return self.wait_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait_ready(self) -> Service:
        """Return when the line `ready` was printed."""
        ends_s = time.monotonic() + _START_S
        while not self.ready_line():
            if self.process.poll() is not None or time.monotonic() > ends_s:
                self.close()
                raise RuntimeError(f"the service did not come up; it said:\n{self.said()}")
            time.sleep(0.02)
        return self

    def ready_line(self) -> str:
        """The line that says that it is up; empty before."""
        return next((line for line in self.said().splitlines() if line.startswith("ready")), "")

    def said(self) -> str:
        """What it has written so far, on both streams."""
        # Its own descriptor would share the position with the writers.
        with open(f"/proc/self/fd/{self._said.fileno()}", encoding="utf-8") as stream:
            return stream.read()

    def pid(self, role: str) -> int | None:
        """The process that is now `supervisor`, `io` or `worker`; None while there is none."""
        return self.pids().get(role)

    def pids(self) -> dict[str, int]:
        """All processes of the service by role."""
        found = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children():
                found |= {role: process.pid for role in _ROLES if is_role(process, role)}
            found["supervisor"] = self.process.pid
        return found

    def kill(self, role: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one of the processes; its id."""
        pid = self.pid(role)
        if pid is None:
            raise RuntimeError(f"the service has no {role} now; it said:\n{self.said()}")
        os.kill(pid, number)
        return pid

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell the service to end, and its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_STOP_S)

    def close(self) -> None:
        """End it, and whatever of it is left; may be called again."""
        left = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for role, pid in left.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if is_role(process, role):
                    process.kill()
        if self._folder is not None:
            self._folder.cleanup()

    def _start(self) -> subprocess.Popen[bytes]:
        options = [f"--set={key}={value}" for key, value in self._settings.items()]
        return subprocess.Popen(
            [*COMMAND, "run", *options],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
        )


def free_udp_port() -> int:
    """A port on the loopback that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_role(process: psutil.Process, role: str) -> bool:
    """Whether this is our child of that role, and alive."""
    with contextlib.suppress(psutil.Error):
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and f"rwkv_music_daemon.{role}_process" in process.cmdline()
    return False
