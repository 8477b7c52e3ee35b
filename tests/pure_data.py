"""Pure Data without a window, with our patch in it and a remote control."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATCHES = Path(__file__).resolve().parents[1] / "bridge_scripts" / "puredata"
SERVICE_PORT, EVENT_PORT = "7770", "7772"
PATIENCE_S = 20
# What is heard over a TCP port is sent inside Pd: `rwkv-trigger bang`.
REMOTE = """#N canvas 0 0 400 300 12;
#X obj 20 20 netreceive {port};
#X obj 20 50 list prepend;
#X obj 20 80 t l l;
#X obj 200 110 list split 1;
#X obj 20 110 list split 1;
#X obj 20 140 list trim;
#X obj 20 200 send;
#X obj 300 20 r rwkv-event;
#X obj 300 50 print heard;
#X connect 0 0 1 0;
#X connect 1 0 2 0;
#X connect 2 1 3 0;
#X connect 3 0 6 1;
#X connect 2 0 4 0;
#X connect 4 1 5 0;
#X connect 5 0 6 0;
#X connect 7 0 8 0;
"""


class PureData:
    """Pd with the patch, its ports changed: the service is at `service_port`."""

    def __init__(self, folder: Path, service_port: int) -> None:
        shutil.copytree(PATCHES, folder, dirs_exist_ok=True)
        patch, remote = folder / "rwkv_music.pd", folder / "remote.pd"
        text = patch.read_text(encoding="utf-8")
        assert SERVICE_PORT in text
        text = text.replace(f" {SERVICE_PORT};", f" {service_port};")
        text = text.replace(f" {SERVICE_PORT} ", f" {service_port} ")
        text = re.sub(rf"\b{EVENT_PORT}\b", str(free_port(socket.SOCK_DGRAM)), text)
        patch.write_text(text, encoding="utf-8")
        port = free_port(socket.SOCK_STREAM)
        remote.write_text(REMOTE.format(port=port), encoding="utf-8")
        self.output = folder / "output.txt"
        with self.output.open("w", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                [
                    *("pd", "-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr"),
                    *("-open", str(remote), "-open", str(patch)),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._remote = connection(port)

    def close(self) -> None:
        self._remote.close()
        self._process.terminate()
        self._process.wait(10)

    def send(self, message: str) -> None:
        """Send inside Pd: a receiver's name and what it gets."""
        self._remote.sendall(f"{message};\n".encode())

    def wait(self, until: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < end, self.said()
            time.sleep(0.01)

    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connection(port: int) -> socket.socket:
    end = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port))
        assert time.monotonic() < end, "Pd does not open its port"
        time.sleep(0.02)
