"""What systemd would hear of the real service: up, alive, and nothing while a process hangs."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from live_stage import WITHIN_S, wait_for
from real_programs import need_program

from benchmarks.rig import JackServer, Service


class ServiceManager:
    """The socket that systemd would listen on."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        self.heard: list[tuple[float, str]] = []

    @property
    def environ(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": "5000000"}

    def listen(self) -> None:
        while True:
            try:
                text = self._socket.recv(4096).decode()
            except BlockingIOError:
                return
            self.heard.append((time.monotonic(), text))

    def count(self, text: str) -> int:
        self.listen()
        return sum(text in said for _, said in self.heard)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def jack_server() -> Iterator[JackServer]:
    """One that does not wait for clients that are stopped."""
    need_program("jackd", "jackd2")
    with JackServer(period=256, synchronous=False) as server:
        yield server


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(tmp_path)
    yield manager
    manager.close()


def test_it_is_up_alive_and_at_its_end(jack_server: JackServer, systemd: ServiceManager) -> None:
    with Service(jack_server.env | systemd.environ) as service:
        assert systemd.count("READY=1") == 1
        assert "model scripted" in systemd.heard[0][1]
        wait_for(lambda: systemd.count("WATCHDOG=1") >= 3, "the watchdog is not fed")
        for pid in service.pids().values():
            if pid != service.process.pid:
                assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert service.end() == 0
    assert systemd.count("STOPPING=1") == 1


@dataclass(slots=True)
class Hung:
    """A service in which one process was stopped, and what systemd heard of it."""

    role: str
    service: Service
    systemd: ServiceManager
    pid: int = 0
    stopped_s: float = 0.0

    def stop(self) -> None:
        self.pid = self.service.kill(self.role, signal.SIGSTOP)
        self.stopped_s = time.monotonic()

    def is_replaced(self) -> bool:
        self.systemd.listen()  # the times are those of listening
        return self.service.pid(self.role) not in (None, self.pid)

    def fed_s(self) -> list[float]:
        """When the watchdog was fed, in seconds since the process was stopped."""
        self.systemd.listen()
        return [
            said_s - self.stopped_s for said_s, text in self.systemd.heard if text == "WATCHDOG=1"
        ]


def test_while_a_process_hangs_the_watchdog_is_hungry(
    jack_server: JackServer, tmp_path: Path
) -> None:
    """The worker in one service, io in another: it takes seconds until they are given up."""
    with ExitStack() as exits:
        both = []
        for role in ("worker", "io"):
            (tmp_path / role).mkdir()
            systemd = exits.enter_context(closing(ServiceManager(tmp_path / role)))
            service = exits.enter_context(Service(jack_server.env | systemd.environ))
            both.append(Hung(role, service, systemd))
        for hung in both:
            wait_for(lambda h=hung: h.fed_s(), "the watchdog is not fed")
        for hung in both:
            hung.stop()
        replaced_s = {}
        while len(replaced_s) < len(both):
            for hung in both:
                if hung.role not in replaced_s and hung.is_replaced():
                    replaced_s[hung.role] = time.monotonic() - hung.stopped_s
            assert time.monotonic() < both[0].stopped_s + WITHIN_S, f"only {replaced_s} came back"
            time.sleep(0.01)
        for hung in both:
            fed = len(hung.fed_s())
            wait_for(lambda h=hung, n=fed: len(h.fed_s()) > n, "the watchdog is not fed again")
            # What was under way when the process was stopped may still come.
            meanwhile = [s for s in hung.fed_s() if 2.5 < s < replaced_s[hung.role]]
            assert meanwhile == [], hung.role
            assert not os.path.exists(f"/proc/{hung.pid}")
