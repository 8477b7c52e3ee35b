"""The OSC socket: requests in, replies and events out. It never blocks and never raises."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from rwkv_music.errors import PortError
from rwkv_music.timebase import NS_PER_S

from .encoding import Value, encode
from .framing import FramingError, Message, parse
from .subscribers import Address, Subscribers
from .table import OscError, Request, match

_log = logging.getLogger(__name__)
DATAGRAMS_PER_CALL = 32  # so that a flood cannot starve the music: a millisecond's work
_BYTES_PER_CALL = 16384
_RECEIVE_BUFFER_BYTES = 1 << 20
_LARGEST_UDP = 65536  # bytes; more than is taken, so that the complaint can say how much it was
ERRORS_PER_S = 200
ERROR_BURST = 400


@dataclass(slots=True)
class OscCounts:
    """What came and went since the start."""

    received: int = 0  # datagrams
    malformed: int = 0  # datagrams
    refused: int = 0  # requests answered with an error, or that would have been
    unanswered: int = 0  # errors not sent, to keep to the rate
    strangers: int = 0  # datagrams from hosts that are not served
    unsent: int = 0  # replies and events that the system did not take


class OscServer:
    """A bound UDP socket. All methods are called from one thread; only the constructor raises
    (PortError). `now_ns` is a monotonic clock."""

    def __init__(self, host: str, port: int, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.counts = OscCounts()
        self.subscribers = Subscribers()
        self._now_ns = now_ns
        self._serves_network = not ipaddress.ip_address(host).is_loopback
        self._socket = _bound_socket(host, port)
        self.host, self.port = self._socket.getsockname()
        self._error_tokens = float(ERROR_BURST)
        self._error_tokens_ns = now_ns()

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> list[tuple[Request, Address]]:
        """The requests that have come, in order, a bounded number of datagrams at a call.

        What is wrong is answered with `/rwkv/error` and counted. Subscriptions are kept here; the
        request is still returned, for the current values to be sent to the new subscriber.
        """
        requests: list[tuple[Request, Address]] = []
        taken_bytes = 0
        for _ in range(DATAGRAMS_PER_CALL):
            if taken_bytes > _BYTES_PER_CALL:
                break
            try:
                datagram, sender = self._socket.recvfrom(_LARGEST_UDP)
            except BlockingIOError:
                break
            except OSError:
                continue  # on Windows, an earlier reply found nobody
            self.counts.received += 1
            taken_bytes += len(datagram)
            if not self._is_served(sender[0]):
                self.counts.strangers += 1
                continue
            self.subscribers.renew(sender[0], self._now_ns())
            for message in self._parse(datagram, sender):
                request = self._match(message, sender)
                if request is not None:
                    requests.append((request, sender))
        return requests

    def reply(self, receiver: Address, address: str, *args: Value) -> None:
        """Send a reply, or an event to one subscriber."""
        self._send(address, args, [receiver])

    def reply_error(
        self, receiver: Address, code: int, message: str | Exception, address: str
    ) -> None:
        """Send `/rwkv/error`, at a limited rate; `address` is the request's."""
        self.counts.refused += 1
        if self._may_complain():
            self._send("/rwkv/error", (code, str(message), address), [receiver])
        else:
            self.counts.unanswered += 1

    def publish(self, address: str, *args: Value) -> None:
        """Send an event to every subscriber."""
        self._send(address, args, self.subscribers.current(self._now_ns()))

    def _parse(self, datagram: bytes, sender: Address) -> list[Message]:
        try:
            return parse(datagram)
        except FramingError as error:
            self.counts.malformed += 1
            self.reply_error(sender, error.code, error, error.address)
            return []

    def _match(self, message: Message, sender: Address) -> Request | None:
        try:
            request = match(message)
            if request is not None and request.name in ("subscribe", "unsubscribe"):
                self._keep_subscription(request, sender[0])
        except OscError as error:
            self.reply_error(sender, error.code, error, message.address)
            return None
        return request

    def _keep_subscription(self, request: Request, host: str) -> None:
        address = host, request.args[0]
        if request.name == "unsubscribe":
            self.subscribers.remove(address)
            return
        if address[1] == self.port and ipaddress.ip_address(host).is_loopback:
            raise OscError(422, f"port: {self.port} is the service's own")
        self.subscribers.add(address, self._now_ns())

    def _is_served(self, host: str) -> bool:
        """This machine; when the service is open to the network, also the hosts of a private one.
        Strangers get no answer: a reply to a forged address would be sent to its victim."""
        address = ipaddress.ip_address(host)
        return address.is_loopback or (self._serves_network and address.is_private)

    def _may_complain(self) -> bool:
        now_ns = self._now_ns()
        gained = (now_ns - self._error_tokens_ns) * ERRORS_PER_S / NS_PER_S
        self._error_tokens = min(self._error_tokens + gained, ERROR_BURST)
        self._error_tokens_ns = now_ns
        if self._error_tokens < 1:
            return False
        self._error_tokens -= 1
        return True

    def _send(self, address: str, args: tuple[Value, ...], receivers: list[Address]) -> None:
        if not receivers:
            return
        try:
            datagram = encode(address, *args)
        except ValueError:
            self.counts.unsent += len(receivers)
            _log.exception("OSC: a message that is not in the table was not sent")
            return
        for receiver in receivers:
            try:
                self._socket.sendto(datagram, receiver)
            except OSError:
                self.counts.unsent += 1  # nobody there, or the system's buffer is full


def _bound_socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        if sys.platform == "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise PortError(
                f"osc.host: {host} is no address of this machine; 127.0.0.1 always is"
            ) from error
        raise PortError(
            f"osc.port: UDP {host}:{port} cannot be had: {error.strerror}. Another"
            " rwkv-music-daemon may hold it (`rwkv-music-daemon ctl /rwkv/ping` tells): stop it,"
            " if it runs in the background with `rwkv-music-daemon service stop`,"
            " or take another port with --set osc.port=7780"
        ) from error
    return bound
