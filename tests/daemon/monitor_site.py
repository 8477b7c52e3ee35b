"""The web page's server in a thread, and what a browser would do."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from rwkv_music_daemon.config import Config
from rwkv_music_daemon.config_sections import MonitorConfig, OscConfig
from rwkv_music_daemon.monitor.server import Monitor

from rwkv_music.errors import PortError


class Site:
    """A monitor for the service at a port, on a port of its own. `error`: why it is not there;
    `places`: where it said that it is."""

    def __init__(self, osc_port: int, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        config = Config(osc=OscConfig(port=osc_port), monitor=MonitorConfig(True, port))
        self._monitor = Monitor(config)
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self.error: Exception | None = None
        self.places: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._monitor.serve(self._over, self.places.append))
        except PortError as error:
            self.error = error

    def close(self) -> None:
        """May be called again."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)
        assert not self._thread.is_alive()
        self._loop.close()

    def get(self, path: str, **headers: str) -> Any:
        return urllib.request.urlopen(
            urllib.request.Request(self.url + path, headers=headers), timeout=5
        )

    def ask(self, body: object, **headers: str) -> int:
        request = urllib.request.Request(
            self.url + "/request",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return int(error.code)


def until(is_so: Callable[[], object]) -> None:
    ends_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
