"""Links and the hub: lines whole and in order, strangers kept out, nobody waited for."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
from rwkv_music_daemon.links import Hub, Link, call
from rwkv_music_daemon.messages import Failed, Hello, Message, Ping, Pong

from rwkv_music.errors import WorkerError

TOKEN = "0123456789abcdef"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with closing(Hub(TOKEN)) as hub:
        yield hub


@pytest.fixture
def pair() -> Iterator[tuple[Link, Link]]:
    listener = socket.create_server(("127.0.0.1", 0))
    ours = Link(socket.create_connection(listener.getsockname()))
    theirs = Link(listener.accept()[0])
    listener.close()
    yield ours, theirs
    ours.close()
    theirs.close()


def until(is_so: Callable[[], object]) -> None:
    ends_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.001)


def received(link: Link, count: int) -> list[Message]:
    messages: list[Message] = []

    def enough() -> bool:
        messages.extend(link.receive())
        return len(messages) >= count

    until(enough)
    return messages


def accepted(hub: Hub) -> list[tuple[str, Link]]:
    known: list[tuple[str, Link]] = []

    def came() -> bool:
        known.extend(hub.accept())
        return bool(known)

    until(came)
    return known


def test_messages_arrive_whole_and_in_order(pair: tuple[Link, Link]) -> None:
    ours, theirs = pair
    sent = [Failed(number, "ä" * (number * 97 % 500)) for number in range(300)]
    ours.send(*sent)
    assert not ours.is_behind
    assert received(theirs, 300) == sent
    assert theirs.receive() == []


def test_a_line_in_pieces(hub: Hub) -> None:
    with socket.create_connection(("127.0.0.1", hub.port)) as raw:
        line = f'["Hello","worker","{TOKEN}"]\n["Ping",1]\n["Pi'.encode()
        for byte in line:
            raw.sendall(bytes((byte,)))
        ((name, link),) = accepted(hub)
        assert name == "worker"
        assert received(link, 1) == [Ping(1)]
        raw.sendall(b'ng",2]\n')
        assert received(link, 1) == [Ping(2)]
        link.close()


def test_the_last_words_of_a_peer_are_heard(pair: tuple[Link, Link]) -> None:
    ours, theirs = pair
    ours.send(Failed(3, "no port"), Ping(1))
    ours.close()
    assert received(theirs, 2) == [Failed(3, "no port"), Ping(1)]
    with pytest.raises(WorkerError, match="closed"):
        theirs.receive()


def test_a_peer_that_does_not_read_is_given_up_and_never_waited_for(
    pair: tuple[Link, Link],
) -> None:
    ours, _ = pair
    large = [Failed(1, "x" * 500_000)] * 200
    with pytest.raises(WorkerError, match="stopped reading"):
        ours.send(*large)


def test_what_the_socket_did_not_take_goes_out_later(pair: tuple[Link, Link]) -> None:
    ours, theirs = pair
    large = [Failed(number, "x" * 500_000) for number in range(14)]
    ours.send(*large)
    assert ours.is_behind
    heard: list[Message] = []

    def all_came() -> bool:
        ours.flush()
        heard.extend(theirs.receive())
        return len(heard) == len(large)

    until(all_came)
    assert heard == large


def test_a_line_without_end_is_an_error(hub: Hub) -> None:
    with socket.create_connection(("127.0.0.1", hub.port)) as raw:
        raw.sendall(json.dumps(["Hello", "io", TOKEN]).encode() + b"\n")
        ((_, link),) = accepted(hub)
        raw.setblocking(False)

        def pours() -> bool:
            with suppress(BlockingIOError):
                raw.send(b"x" * 65536)
            try:
                link.receive()
            except WorkerError as error:
                return "line of more than" in str(error)
            return False

        until(pours)
        link.close()


def test_callers_are_known_by_the_secret(hub: Hub) -> None:
    link = call(hub.port, "worker", TOKEN)
    link.send(Ping(5))
    ((name, ours),) = accepted(hub)
    assert name == "worker"
    assert received(ours, 1) == [Ping(5)]
    ours.send(Pong(5))
    assert received(link, 1) == [Pong(5)]
    link.close()
    ours.close()


@pytest.mark.parametrize(
    "line",
    [
        b'["Hello","worker","wrong"]\n',
        b'["Hello","worker",""]\n',
        b'["Hello","worker",5]\n',
        b'["Hello","worker",null]\n',
        b'["Hello","worker","\\ud800"]\n',
        b'["Hello",["x"],{"a":1}]\n',
        b'["Ping",1]\n',
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\n",
        b"\n",
    ],
)
def test_strangers_are_shown_the_door(hub: Hub, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hub.port)) as raw:
        raw.sendall(line)
        raw.settimeout(5)

        def shut() -> bool:
            assert hub.accept() == []
            return not hub.has_strangers

        hub.accept()
        until(shut)
        with suppress(ConnectionResetError):
            assert raw.recv(10) == b""


def test_silent_strangers_are_few_and_do_not_keep_ours_out(hub: Hub) -> None:
    raw = [socket.create_connection(("127.0.0.1", hub.port)) for _ in range(20)]
    for _ in raw:
        assert hub.accept() == []
    assert hub.has_strangers
    link = call(hub.port, "io", TOKEN)
    ((name, ours),) = accepted(hub)
    assert name == "io"
    for held in (*raw, link, ours):
        held.close()


def test_nobody_there() -> None:
    hub = Hub(TOKEN)
    port = hub.port
    hub.close()
    with pytest.raises(WorkerError, match=f"port {port}"):
        call(port, "io", TOKEN)


def test_the_hello_is_the_first_line_only(hub: Hub) -> None:
    link = call(hub.port, "io", TOKEN)
    ((_, ours),) = accepted(hub)
    link.send(Hello("io", TOKEN))
    assert received(ours, 1) == [Hello("io", TOKEN)]
    link.close()
    ours.close()
