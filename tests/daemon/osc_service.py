"""A service with the real OSC server and no music, for tests of clients and commands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from select import select
from typing import Any

from rwkv_music_daemon.osc.server import OscServer
from rwkv_music_daemon.osc.table import Request

Reply = tuple[Any, ...]


class OscService:
    """Answers pings, and the other requests as `answer` says, in a thread of its own."""

    def __init__(self, answer: Callable[[Request], Iterable[Reply]]) -> None:
        self.server = OscServer("127.0.0.1", 0)
        self.requests: list[Request] = []
        self.senders: list[tuple[str, int]] = []
        self.silent = False  # as if it were not there
        self._answer = answer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server.port)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.server.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            select([self.server], [], [], 0.01)
            for request, sender in self.server.receive():
                if self.silent:
                    continue
                if request.name == "ping":
                    self.server.reply(sender, "/rwkv/pong", request.args[0] or "", "0", 1)
                    continue
                self.requests.append(request)
                self.senders.append(sender)
                for address, *args in self._answer(request):
                    if address == "/rwkv/error":
                        self.server.reply_error(sender, *args)
                    else:
                        self.server.reply(sender, address, *args)
                if request.name == "subscribe":
                    self.server.publish("/rwkv/state", "idle")
