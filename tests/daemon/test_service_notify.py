"""What systemd hears, on a socket as it would open it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rwkv_music_daemon.services.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listens:
        listens.bind(str(tmp_path / "notify"))
        listens.settimeout(5)
        yield listens


def environ(systemd: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": systemd.getsockname(), **more}


def test_up_alive_and_at_its_end(systemd: socket.socket) -> None:
    notifier = Notifier(environ(systemd, WATCHDOG_USEC="1000000", WATCHDOG_PID=str(os.getpid())))
    notifier.ready("a model\nwith two lines")
    notifier.alive()
    notifier.ending()
    heard = [systemd.recv(1000).decode() for _ in range(3)]
    assert heard == ["READY=1\nSTATUS=a model with two lines", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}])
def test_a_watchdog_that_is_not_ours_is_not_fed(
    systemd: socket.socket, watchdog: dict[str, str]
) -> None:
    notifier = Notifier(environ(systemd, **watchdog))
    notifier.alive()
    notifier.ending()
    assert systemd.recv(1000) == b"STOPPING=1"


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listens:
        listens.bind(f"\0rwkv-music-test-{os.getpid()}")
        Notifier({"NOTIFY_SOCKET": f"@rwkv-music-test-{os.getpid()}"}).ending()
        assert listens.recv(1000) == b"STOPPING=1"


def test_children_do_not_inherit_it(systemd: socket.socket) -> None:
    variables = environ(systemd, WATCHDOG_USEC="1", WATCHDOG_PID="1", HOME="/home")
    Notifier(variables)
    assert variables == {"HOME": "/home"}


def test_without_systemd_nothing_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready("up")
    assert caplog.text == ""
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("up")
    assert "does not listen" in caplog.text
