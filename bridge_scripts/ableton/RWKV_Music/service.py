"""The connection to the service: a UDP socket that never blocks, and whether anybody is there."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Iterator

from . import constants, osc

_SILENCE_S = 5.0  # heartbeats come every 2 s
_KNOCK_S = 2.0
_TO_SUBSCRIBERS = (constants.HEARTBEAT, constants.STATE)  # a reply does not show a subscription
_MOST_DATAGRAMS = 64  # at a call, so that Live's window stays responsive
_BUFFER_BYTES = 1 << 20  # a long result comes in one burst


class Service:
    """Datagrams to and from the service on this machine. One thread; told the time in seconds."""

    def __init__(self, host: str = constants.HOST, port: int = constants.PORT) -> None:
        self._address = (host, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._event_s: float | None = None
        self._knocked_s: float | None = None
        self.is_there = False

    def close(self) -> None:
        """Say good-bye; nothing can be sent afterwards."""
        self.send(constants.UNSUBSCRIBE, self.port)
        self._socket.close()

    def send(self, address: str, *args: Any) -> None:
        """Send a request. That nobody is there is no error: the heartbeat tells."""
        with contextlib.suppress(OSError):
            self._socket.sendto(osc.encode(address, *args), self._address)

    def receive(self, now_s: float) -> Iterator[osc.Message]:
        """What has come since the last call, in order."""
        for _ in range(_MOST_DATAGRAMS):
            try:
                datagram, sender = self._socket.recvfrom(constants.LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # on Windows, an earlier request found nobody
            message = osc.decode(datagram) if sender == self._address else None
            if message is None:
                continue
            if message.address in _TO_SUBSCRIBERS:
                self._event_s = now_s
            yield message

    def keep(self, now_s: float) -> bool:
        """Keep the subscription; true when the service has come or gone. To be called often.

        A service that was started anew knows nothing of us: no heartbeat comes, so we subscribe.
        """
        heard = self._event_s is not None and now_s - self._event_s <= _SILENCE_S
        if not heard and (self._knocked_s is None or now_s - self._knocked_s >= _KNOCK_S):
            self._knocked_s = now_s
            self.send(constants.SUBSCRIBE, self.port)
        changed = heard != self.is_there
        self.is_there = heard
        return changed
