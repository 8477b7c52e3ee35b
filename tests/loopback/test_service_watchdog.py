"""What systemd would hear of the real service: up, alive, and nothing while a process hangs."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_stage import wait_for

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


@pytest.mark.parametrize("role", ["worker", "io"])
def test_while_a_process_hangs_the_watchdog_is_hungry(
    jack_server: JackServer, systemd: ServiceManager, role: str
) -> None:
    with Service(jack_server.env | systemd.environ) as service:
        wait_for(lambda: systemd.count("WATCHDOG=1"), "the watchdog is not fed")
        hung = service.kill(role, signal.SIGSTOP)
        stopped_s = time.monotonic()
        wait_for(lambda: service.pid(role) not in (None, hung), f"the {role} is not replaced")
        replaced_s = time.monotonic()
        fed = systemd.count("WATCHDOG=1")
        wait_for(lambda: systemd.count("WATCHDOG=1") > fed, "the watchdog is not fed again")
        meanwhile = [
            said_s
            for said_s, text in systemd.heard
            # What was under way when the process was stopped may still come.
            if text == "WATCHDOG=1" and stopped_s + 2.5 < said_s < replaced_s
        ]
    assert meanwhile == []
    assert not os.path.exists(f"/proc/{hung}")
