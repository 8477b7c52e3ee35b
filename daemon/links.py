"""Lines of messages between our own processes, over loopback sockets that never block.

The io process must not wait for a worker that hangs, so a link keeps what the socket does not
take and gives up when that grows. A secret, handed to each child on its standard input, keeps
strangers out. Sockets, because they are the one thing that every platform can wait for together.
"""

from __future__ import annotations

import hmac
import socket

from rwkv_music.errors import WorkerError

from .lines import decode, encode
from .messages import Hello, Message

_LOOPBACK = "127.0.0.1"
_MOST_WAITING = 8 << 20  # bytes that a peer may leave unread
_LONGEST_LINE = 1 << 20
_MOST_STRANGERS = 8


class Link:
    """One end of a connection. One thread only."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._in = bytearray()
        self._out = bytearray()
        self._unread: list[Message] = []

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, *messages: Message) -> None:
        """Hand over at once, or keep for the next call. Raises WorkerError when the peer is gone
        or has stopped reading."""
        for message in messages:
            self._out += encode(message)
        self.flush()

    @property
    def is_behind(self) -> bool:
        """Whether something is kept that the socket did not take: `flush` soon."""
        return bool(self._out)

    def flush(self) -> None:
        """Try again to hand over what is kept. Raises WorkerError."""
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            if len(self._out) > _MOST_WAITING:
                raise WorkerError("link: the other process has stopped reading") from None
        except OSError as error:
            raise WorkerError(f"link: the other process is gone ({error})") from error

    def receive(self) -> list[Message]:
        """What has arrived. Raises WorkerError when the peer has closed or sends no messages."""
        unread, self._unread = self._unread, []
        closed = False
        try:
            while True:
                data = self._socket.recv(1 << 16)
                if not data:
                    closed = True
                    break
                self._in += data
                if len(data) < 1 << 16:
                    break
        except BlockingIOError:
            pass
        except OSError:
            closed = True
        *lines, rest = self._in.split(b"\n")
        if closed and not lines and not unread:
            raise WorkerError("link: the other process has closed")
        if len(rest) > _LONGEST_LINE:
            raise WorkerError(f"link: a line of more than {_LONGEST_LINE} bytes")
        self._in = bytearray(rest)
        return unread + [decode(bytes(line)) for line in lines]

    def unread(self, messages: list[Message]) -> None:
        """Put messages back, to be received again."""
        self._unread = [*messages, *self._unread]

    def close(self) -> None:
        self._socket.close()


class Hub:
    """Where our processes call in. `port` and `token` are what they need to know."""

    def __init__(self, token: str) -> None:
        self._listener = socket.create_server((_LOOPBACK, 0))
        self._listener.setblocking(False)
        self._token = token
        self._strangers: list[Link] = []
        self.port: int = self._listener.getsockname()[1]

    def fileno(self) -> int:
        return self._listener.fileno()

    @property
    def has_strangers(self) -> bool:
        """Whether somebody has called and not said who it is: `accept` again soon."""
        return bool(self._strangers)

    def accept(self) -> list[tuple[str, Link]]:
        """The callers that have proved to be ours, with the names that they gave. They may have
        said more than that: `receive` at once."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            pass
        else:
            self._strangers.append(Link(connection))
        known: list[tuple[str, Link]] = []
        waiting: list[Link] = []
        for link in self._strangers:
            try:
                first = link.receive()
            except WorkerError:
                link.close()
                continue
            if not first:
                waiting.append(link)
                continue
            hello, *more = first
            if isinstance(hello, Hello) and self._is_ours(hello):
                link.unread(more)
                known.append((hello.name, link))
            else:
                link.close()
        for link in waiting[:-_MOST_STRANGERS]:
            link.close()
        self._strangers = waiting[-_MOST_STRANGERS:]
        return known

    def _is_ours(self, hello: Hello) -> bool:
        told = str(hello.token).encode(errors="replace")  # a stranger's may be anything
        return hmac.compare_digest(told, self._token.encode())

    def close(self) -> None:
        for link in self._strangers:
            link.close()
        self._listener.close()


def call(port: int, name: str, token: str) -> Link:
    """Connect to a hub. Raises WorkerError when nobody is there."""
    try:
        connection = socket.create_connection((_LOOPBACK, port), timeout=5)
    except OSError as error:
        raise WorkerError(f"link: nobody listens on port {port} ({error})") from error
    link = Link(connection)
    link.send(Hello(name, token))
    return link
