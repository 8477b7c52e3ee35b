"""A small OSC client of the service: for the commands, the tests and the benchmarks."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Generator

from rwkv_music.errors import ConfigError, RwkvMusicError

from .encoding import Value, encode_any
from .framing import FramingError, Message, parse
from .requests import REQUESTS
from .table import OscError

_LARGEST_UDP = 65536
_RECEIVE_BUFFER_BYTES = 4 << 20  # a long history comes in one burst
RENEWAL_S = 20.0
_ASKED_AGAIN_S = 3.0  # without a word: a heartbeat comes every 2 s
_GONE_S = 6.0


class NoAnswerError(RwkvMusicError):
    """Nobody answered, or the answer did not end, in time."""


class OscClient:
    """A UDP socket that talks to one service. Use it as a context manager; one thread."""

    def __init__(self, host: str = "127.0.0.1", port: int = 7770, timeout_s: float = 2.0) -> None:
        if port == 0:
            raise ConfigError(
                "osc.port: 0 is any free port, which only the service knows; its line `ready` says"
                " which: name that one"
            )
        self._service = (host, port)
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._socket.bind(("127.0.0.1" if host.startswith("127.") else "0.0.0.0", 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> OscClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, address: str, *args: Value) -> None:
        """Send a message, each argument in its Python type."""
        self.send_datagram(encode_any(address, *args))

    def send_datagram(self, datagram: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendto(datagram, self._service)

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message, or None when none comes in time. What is no OSC is passed over."""
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while True:
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
            try:
                datagram = self._socket.recv(_LARGEST_UDP)
                (message,) = parse(datagram)
            except TimeoutError:
                return None
            except (OSError, FramingError, ValueError):
                if time.monotonic() >= deadline:
                    return None
                continue
            return message

    def request(self, address: str, *args: Value, patience_s: float | None = None) -> list[Message]:
        """Send a request and return what came until its answer was complete.

        A ping sent behind it tells that the service is there and has handled it; from then on the
        answer may take as long as `patience_s`, where that is longer. Raises OscError
        for an `/rwkv/error` about it, NoAnswerError when the answer does not come in time.
        """
        token = uuid.uuid4().hex
        self.send(address, *args)
        self.send("/rwkv/ping", token)
        expected = _last_reply(address)
        messages: list[Message] = []
        answered = expected == ""
        ponged = False
        began_s, limit_s = time.monotonic(), self._timeout_s
        while not (answered and ponged):
            message = self.receive(max(began_s + limit_s - time.monotonic(), 0))
            if message is None:
                raise NoAnswerError(self._silence(address, expected, ponged, limit_s))
            if message.address == "/rwkv/pong" and message.args[:1] == (token,):
                ponged = True
                limit_s = max(limit_s, patience_s or 0.0)
                continue
            if message.address == "/rwkv/error" and message.args[2:3] in ((address,), ("",)):
                raise OscError(int(message.args[0]), str(message.args[1]))
            messages.append(message)
            answered = answered or message.address == expected
        return messages

    def subscribe(self) -> None:
        """Have the events sent here; keep the lease by sending something every minute."""
        self.send("/rwkv/subscribe", self.port)

    def listen(self, duration_s: float) -> Generator[Message | None]:
        """Subscribe and yield what comes, for so long or until the caller has enough; the lease is
        renewed. None, once, when the service says nothing any more; it is asked again and again,
        since one that was started anew knows no subscribers."""
        heard = time.monotonic()
        end, asked = heard + duration_s, heard - RENEWAL_S
        is_gone = False
        try:
            while (now := time.monotonic()) < end:
                renewal = min(asked + RENEWAL_S, max(asked, heard) + _ASKED_AGAIN_S)
                if now >= renewal:
                    self.subscribe()
                    asked = now
                    continue
                message = self.receive(min(end, renewal) - now)
                if message is not None:
                    heard, is_gone = time.monotonic(), False
                    yield message
                elif not is_gone and time.monotonic() - heard >= _GONE_S:
                    is_gone = True
                    yield None
        finally:
            self.send("/rwkv/unsubscribe", self.port)

    def _silence(self, address: str, expected: str, ponged: bool, waited_s: float) -> str:
        if ponged:
            return f"{address}: no {expected} came within {waited_s:g} s"
        host, port = self._service
        return (
            f"nobody answers at {host}:{port}: is `rwkv-music-daemon run` running there? Its"
            " osc.port can be named here too, with --config or --set"
        )


def _last_reply(address: str) -> str:
    """The address that ends the answer to a request; empty when none is promised."""
    verb, _, name = address.removeprefix("/rwkv/").partition("/")
    if verb in ("set", "once", "get"):
        return f"/rwkv/param/{name}"
    return REQUESTS[address].reply if address in REQUESTS else ""
