"""A supervisor over fake children, a fake rescue and a fake systemd: for its tests."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rwkv_music_daemon import child as child_module
from rwkv_music_daemon import supervisor as module
from rwkv_music_daemon.boot import Boot
from rwkv_music_daemon.config import Config
from rwkv_music_daemon.config_sections import OscConfig, ServiceConfig
from rwkv_music_daemon.links import Link, call
from rwkv_music_daemon.messages import (
    Connections,
    Listening,
    Message,
    Ping,
    Pong,
    Ready,
    Serving,
    Stop,
)

from rwkv_music.errors import WorkerError

SYNTH = Connections("jack", ("synth:in",))


class FakeChild:
    """A process that is none: calls the supervisor, says its lines, answers pings."""

    def __init__(self, name: str, boot: Boot, lines: list[Message]) -> None:
        self.name, self.boot = name, boot
        self.heard: list[Message] = []
        self.answers_pings = True
        self.obeys = True
        self.returncode: int | None = None
        self.killed = False
        self._lock = threading.Lock()
        self._link: Link = call(boot.supervisor_port, boot.name, boot.token)
        self._link.send(*lines)
        threading.Thread(target=self._live, daemon=True).start()

    def say(self, *messages: Message) -> None:
        with self._lock:
            self._link.send(*messages)

    def die(self, code: int = -9) -> None:
        self.returncode = code
        self._link.close()

    def _live(self) -> None:
        while self.returncode is None:
            try:
                for message in self._link.receive():
                    self.heard.append(message)
                    if isinstance(message, Ping) and self.answers_pings:
                        self.say(Pong(message.number))
                    if isinstance(message, Stop) and self.obeys:
                        self.die(0)
            except (WorkerError, OSError):
                return
            time.sleep(0.002)

    # --- what the supervisor uses of a Popen ---

    def poll(self) -> int | None:
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            self.killed = True
            self.die(-9)

    def wait(self, timeout: float | None = None) -> int:
        ends_s = time.monotonic() + (10 if timeout is None else timeout)
        while self.returncode is None:
            if time.monotonic() > ends_s:
                raise subprocess.TimeoutExpired(self.name, timeout or 10)
            time.sleep(0.002)
        return self.returncode


class FakeRescue:
    """Writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def silence(self, connections: Connections) -> None:
        self.asked.append(("silence", connections))

    def end(self) -> None:
        self.asked.append(("end", None))


class FakeNotifier:
    """Writes down what systemd would hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def ready(self, status: str) -> None:
        self.heard.append(f"ready {status}")

    def status(self, status: str) -> None:
        self.heard.append(f"status {status}")

    def alive(self) -> None:
        self.heard.append("alive")

    def ending(self) -> None:
        self.heard.append("ending")


class House:
    """A supervisor, its fake children, and what it has printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.children: dict[str, list[FakeChild]] = {"io": [], "worker": []}
        self.lines: dict[str, list[Message]] = {
            "io": [Listening(1, "memory: In, Out")],
            "worker": [Ready("a model", 0)],
        }
        self.printed: list[str] = []
        monkeypatch.setattr(child_module, "start_child", self._start)
        monkeypatch.setattr(module, "Rescue", FakeRescue)
        monkeypatch.setattr(module, "Notifier", FakeNotifier)
        monkeypatch.setattr(module, "_LOOK_S", 0.005)
        monkeypatch.setattr(child_module, "_FIRST_PAUSE_S", 0.005)
        self.record = folder / "destinations-7123.json"
        config = Config(osc=OscConfig(port=7123), service=ServiceConfig(data_dir=str(folder)))
        self.supervisor = module.Supervisor(config, self.printed.append)

    def _start(self, name: str, boot: Boot) -> FakeChild:
        role = name.removesuffix("_process")
        child = FakeChild(role, boot, self.lines[role])
        self.children[role].append(child)
        return child

    @property
    def io(self) -> FakeChild:
        return self.children["io"][-1]

    @property
    def worker(self) -> FakeChild:
        return self.children["worker"][-1]

    @property
    def notified(self) -> list[str]:
        return self.supervisor._notifier.heard  # type: ignore[attr-defined]

    @property
    def rescued(self) -> list[tuple[str, Any]]:
        return self.supervisor._rescue.asked  # type: ignore[attr-defined]

    def run_until(self, is_so: Callable[[], object]) -> None:
        ends_s = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < ends_s
            self.supervisor._look()

    def come_up(self) -> None:
        self.run_until(lambda: self.children["worker"])
        self.io.say(Serving("worker", "a model"))
        self.run_until(lambda: self.printed)

    def end(self) -> None:
        self.supervisor._end()
