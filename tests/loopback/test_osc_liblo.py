"""An OSC implementation that is not ours, liblo's tools, talks to the server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from select import select

import pytest
from rwkv_music_daemon.osc.server import OscServer

pytestmark = pytest.mark.skipif(
    shutil.which("oscsend") is None and os.environ.get("RWKV_MUSIC_REAL") != "1",
    reason="oscsend and oscdump are not installed (Debian: liblo-tools)",
)


@pytest.fixture
def server() -> Iterator[OscServer]:
    with contextlib.closing(OscServer("127.0.0.1", 0)) as opened:
        yield opened


def oscsend(server: OscServer, address: str, *args: str) -> None:
    subprocess.run(["oscsend", "127.0.0.1", str(server.port), address, *args], check=True)
    select([server], [], [], 5)


def test_oscsend_is_understood(server: OscServer) -> None:
    oscsend(server, "/rwkv/set/temperature", "f", "0.95")
    oscsend(server, "/rwkv/trigger", "i", "4")
    oscsend(server, "/rwkv/mode", "sii", "manual", "4", "2")
    oscsend(server, "/rwkv/stop", "T")
    oscsend(server, "/rwkv/stop", "F")
    oscsend(server, "/rwkv/transport/position", "d", "17.25")
    assert [(request.name, request.args) for request, _ in server.receive()] == [
        ("set", ("temperature", 0.95)),
        ("trigger", (4, None)),
        ("mode", ("manual", 4, 2)),
        ("stop", ()),
        ("transport/position", (17.25,)),
    ]
    assert server.counts.refused == 0


def test_oscdump_prints_the_events(server: OscServer) -> None:
    port = free_port()
    oscsend(server, "/rwkv/subscribe", "i", str(port))
    server.receive()
    with subprocess.Popen(
        ["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True, bufsize=1
    ) as dump:
        try:
            assert dump.stdout is not None
            while not select([dump.stdout], [], [], 0.05)[0]:
                server.publish("/rwkv/heartbeat", 2)  # until it listens
            server.publish("/rwkv/note/played", 1, 16.5, 60, 90, 0.25)
            server.publish("/rwkv/state", "idle")
            heard = (line.split() for line in dump.stdout if "heartbeat" not in line)
            lines = [next(heard), next(heard)]
        finally:
            dump.kill()
    assert [line[-7:] if len(line) > 5 else line[-3:] for line in lines] == [
        ["/rwkv/note/played", "ifiif", "1", "16.500000", "60", "90", "0.250000"],
        ["/rwkv/state", "s", '"idle"'],
    ]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
