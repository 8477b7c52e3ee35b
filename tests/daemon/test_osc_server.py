"""The socket: bounded, never raising, talking only to whom it should."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from select import select

import pytest
from rwkv_music_daemon.osc import server as server_module
from rwkv_music_daemon.osc.encoding import encode_any
from rwkv_music_daemon.osc.framing import Message, parse
from rwkv_music_daemon.osc.server import DATAGRAMS_PER_CALL, ERROR_BURST, ERRORS_PER_S, OscServer
from rwkv_music_daemon.osc.subscribers import LEASE_NS, Subscribers
from rwkv_music_daemon.osc.table import Request

from rwkv_music.errors import PortError
from rwkv_music.timebase import NS_PER_S


class Clock:
    """A clock that stands until it is moved."""

    now_ns = 5 * NS_PER_S

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[OscServer]:
    with contextlib.closing(OscServer("127.0.0.1", 0, clock)) as opened:
        yield opened


@pytest.fixture
def client(server: OscServer) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.connect((server.host, server.port))
        opened.setblocking(False)
        yield opened


def ask(server: OscServer, client: socket.socket, *datagrams: bytes) -> list[Request]:
    """Send, and receive in one call for each."""
    found = []
    for datagram in datagrams:
        client.send(datagram)
        select([server], [], [], 5)
        found += [request for request, _ in server.receive()]
    return found


def answers(client: socket.socket) -> list[Message]:
    """All that has come; loopback delivers before `sendto` returns."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found += parse(client.recv(65536))
    return found


def port_of(client: socket.socket) -> int:
    return int(client.getsockname()[1])


def test_requests_come_with_their_sender(server: OscServer, client: socket.socket) -> None:
    client.send(encode_any("/rwkv/trigger", 4))
    select([server], [], [], 5)
    ((request, sender),) = server.receive()
    assert (request.name, request.args) == ("trigger", (4, None))
    assert sender == client.getsockname()
    server.reply(sender, "/rwkv/accepted", 1, 12)
    assert answers(client) == [Message("/rwkv/accepted", (1, 12))]
    assert server.receive() == []


def test_a_wrong_request_is_answered_counted_and_nothing_else(
    server: OscServer, client: socket.socket
) -> None:
    wrong = [
        encode_any("/rwkv/nothing"),
        encode_any("/rwkv/trigger", "x"),
        encode_any("/rwkv/set/bars", 99),
        b"\xff" * 24,
        b"#bundle\0\0\0\0\0\0\0\0\1\xff\xff\xff\xfc\0\0\0\0",
        encode_any("/rwkv/ping", "x" * 9000),
    ]
    assert ask(server, client, *wrong) == []
    codes = [(m.address, m.args[0], m.args[2]) for m in answers(client)]
    assert codes == [
        ("/rwkv/error", 404, "/rwkv/nothing"),
        ("/rwkv/error", 400, "/rwkv/trigger"),
        ("/rwkv/error", 422, "/rwkv/set/bars"),
        ("/rwkv/error", 400, ""),
        ("/rwkv/error", 400, ""),
        ("/rwkv/error", 400, ""),
    ]
    assert (server.counts.received, server.counts.malformed, server.counts.refused) == (6, 3, 6)


def test_a_call_takes_a_bounded_number(server: OscServer, client: socket.socket) -> None:
    for _ in range(DATAGRAMS_PER_CALL + 5):
        client.send(encode_any("/rwkv/stop"))
    assert [len(server.receive()) for _ in range(3)] == [DATAGRAMS_PER_CALL, 5, 0]


def test_a_call_takes_a_bounded_number_of_bytes(server: OscServer, client: socket.socket) -> None:
    for _ in range(6):
        client.send(encode_any("/rwkv/ping", "x" * 8000))
    assert [len(server.receive()) for _ in range(3)] == [3, 3, 0]


def test_errors_keep_to_a_rate(server: OscServer, client: socket.socket, clock: Clock) -> None:
    for _ in range(ERROR_BURST + 50):
        ask(server, client, b"rubbish!")
        answered = len(answers(client))
    assert answered == 0
    assert server.counts.unanswered == 50
    clock.now_ns += NS_PER_S // 10
    for _ in range(ERRORS_PER_S):
        ask(server, client, b"rubbish!")
    assert len(answers(client)) == ERRORS_PER_S // 10
    assert [r.name for r in ask(server, client, encode_any("/rwkv/ping", "still"))] == ["ping"]


def test_events_go_to_the_subscribed_port(server: OscServer, client: socket.socket) -> None:
    server.publish("/rwkv/state", "idle")
    (request,) = ask(server, client, encode_any("/rwkv/subscribe", port_of(client)))
    assert request.name == "subscribe"
    server.publish("/rwkv/state", "armed")
    assert answers(client) == [Message("/rwkv/state", ("armed",))]
    ask(server, client, encode_any("/rwkv/unsubscribe", port_of(client)))
    server.publish("/rwkv/state", "idle")
    assert answers(client) == []


def test_a_lease_ends_unless_something_comes(
    server: OscServer, client: socket.socket, clock: Clock
) -> None:
    ask(server, client, encode_any("/rwkv/subscribe", port_of(client)))
    clock.now_ns += LEASE_NS - 1
    ask(server, client, encode_any("/rwkv/transport/position", 1.0))
    clock.now_ns += LEASE_NS - 1
    server.publish("/rwkv/state", "armed")
    assert len(answers(client)) == 1
    clock.now_ns += 1
    server.publish("/rwkv/state", "idle")
    assert answers(client) == []


def test_the_service_cannot_be_subscribed_to_itself(
    server: OscServer, client: socket.socket
) -> None:
    assert ask(server, client, encode_any("/rwkv/subscribe", server.port)) == []
    assert answers(client)[0].args[0] == 422


def test_sending_never_raises(server: OscServer, caplog: pytest.LogCaptureFixture) -> None:
    server.reply(("127.0.0.1", 9), "/rwkv/nothing")
    server.reply(("127.0.0.1", 9), "/rwkv/bar", "x")
    assert "not in the table" in caplog.text
    server.reply(("127.0.0.1", 0), "/rwkv/bar", 1, 2)
    assert server.counts.unsent == 3
    server.reply(("127.0.0.1", 9), "/rwkv/error", 500, "x" * 100_000, "/y" * 100_000)
    assert server.counts.unsent == 3


def test_a_port_that_is_taken_says_by_whom_it_may_be(server: OscServer) -> None:
    with pytest.raises(
        PortError, match=r"Another\s+rwkv-music-daemon may hold it.*--set osc\.port"
    ):
        OscServer("127.0.0.1", server.port)


def test_an_address_that_is_not_ours_is_a_port_error() -> None:
    with pytest.raises(PortError, match=r"osc\.host: 192\.0\.2\.1 is no address of this machine"):
        OscServer("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("bound_to", "sender", "served"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "192.168.1.5", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "192.168.1.5", True),
        ("0.0.0.0", "8.8.8.8", False),
    ],
)
def test_strangers_get_no_answer(
    bound_to: str, sender: str, served: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(sender)
    monkeypatch.setattr(server_module, "_bound_socket", lambda host, port: wire)
    server = OscServer(bound_to, 7770)
    wire.incoming = [encode_any("/rwkv/ping"), b"rubbish!", encode_any("/rwkv/subscribe", 9000)]
    assert len(server.receive()) == (2 if served else 0)
    server.publish("/rwkv/state", "idle")
    assert bool(wire.sent) == served
    assert server.counts.strangers == (0 if served else 3)


class Wire:
    """A socket whose datagrams come from anywhere."""

    def __init__(self, sender: str) -> None:
        self.sender = sender
        self.incoming: list[bytes] = []
        self.sent: list[bytes] = []

    def getsockname(self) -> tuple[str, int]:
        return "0.0.0.0", 7770

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self.incoming:
            raise BlockingIOError
        return self.incoming.pop(0), (self.sender, 5000)

    def sendto(self, datagram: bytes, address: tuple[str, int]) -> None:
        self.sent.append(datagram)


def test_a_ping_is_answered_after_any_rubbish(server: OscServer, client: socket.socket) -> None:
    rng = random.Random(3)
    for _ in range(500):
        ask(server, client, rng.randbytes(rng.choice([0, 1, 4, 24, 400])))
        answers(client)
    ((request),) = ask(server, client, encode_any("/rwkv/ping", "here"))
    assert request.args == ("here",)


def test_subscribers_are_bounded_and_the_stalest_makes_room() -> None:
    subscribers = Subscribers(most=3)
    for port in (1, 2, 3):
        subscribers.add(("127.0.0.1", port), now_ns=port)
    subscribers.add(("127.0.0.1", 1), now_ns=4)
    subscribers.add(("127.0.0.1", 4), now_ns=5)
    assert sorted(port for _, port in subscribers.current(6)) == [1, 3, 4]


def test_only_the_senders_leases_are_renewed_and_none_is_revived() -> None:
    subscribers = Subscribers()
    subscribers.add(("127.0.0.1", 1), 0)
    subscribers.add(("127.0.0.2", 2), 0)
    subscribers.renew("127.0.0.1", LEASE_NS - 1)
    assert subscribers.current(LEASE_NS) == [("127.0.0.1", 1)]
    subscribers.renew("127.0.0.1", 3 * LEASE_NS)
    assert subscribers.current(3 * LEASE_NS) == []
