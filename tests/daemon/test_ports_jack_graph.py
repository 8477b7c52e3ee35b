"""Leaving JACK, without a server."""

from __future__ import annotations

import threading

import pytest
from rwkv_music_daemon.ports import jack_graph


class Client:
    """Closes when it is let."""

    def __init__(self) -> None:
        self.may_close = threading.Event()
        self.closed = threading.Event()

    def close(self) -> None:
        self.may_close.wait()
        self.closed.set()


def test_a_client_is_closed() -> None:
    client = Client()
    client.may_close.set()
    jack_graph.close(client)
    assert client.closed.is_set()


class Refusing:
    def close(self) -> bool:
        return False


def test_a_client_that_refuses_to_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[object] = []
    monkeypatch.setattr(jack_graph, "abandon", left.append)
    client = Refusing()
    jack_graph.close(client)
    assert left == [client]


def test_a_client_that_does_not_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[object] = []
    monkeypatch.setattr(jack_graph, "_CLOSE_S", 0.01)
    monkeypatch.setattr(jack_graph, "abandon", left.append)
    client = Client()
    jack_graph.close(client)
    assert left == [client]
    assert not client.closed.is_set()
    client.may_close.set()
    assert client.closed.wait(10)
