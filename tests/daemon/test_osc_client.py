"""The client against the real server, over loopback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from osc_service import OscService, Reply
from rwkv_music_daemon.osc import client as client_module
from rwkv_music_daemon.osc.client import NoAnswerError, OscClient
from rwkv_music_daemon.osc.framing import Message
from rwkv_music_daemon.osc.table import OscError, Request


def answer(request: Request) -> Iterable[Reply]:
    if request.name == "history":
        yield from (("/rwkv/history/note", i / 2, 60, 90, 0.5, "player") for i in range(100))
        yield "/rwkv/history/done", 100
    elif request.name == "trigger":
        yield "/rwkv/accepted", 7, 12
    elif request.name == "toggle":
        yield "/rwkv/error", 503, "no model", request.address
    elif request.name == "set":
        yield f"/rwkv/param/{request.args[0]}", request.args[1]
    elif request.name == "undo":
        yield "/rwkv/error", 406, "no completion to undo", request.address


@pytest.fixture
def service() -> Iterator[OscService]:
    opened = OscService(answer)
    yield opened
    opened.close()


@pytest.fixture
def client(service: OscService) -> Iterator[OscClient]:
    with OscClient("127.0.0.1", service.port) as opened:
        yield opened


def test_an_answer_is_waited_for_to_its_end(client: OscClient) -> None:
    messages = client.request("/rwkv/history")
    assert len(messages) == 101
    assert messages[-1] == Message("/rwkv/history/done", (100,))
    assert client.request("/rwkv/trigger", 4) == [Message("/rwkv/accepted", (7, 12))]
    assert client.request("/rwkv/set/bars", 8.0) == [Message("/rwkv/param/bars", (8,))]


def test_a_request_without_a_promised_answer_is_still_known_to_be_handled(
    client: OscClient, service: OscService
) -> None:
    assert client.request("/rwkv/stop") == []
    assert [r.name for r in service.requests] == ["stop"]


@pytest.mark.parametrize(
    ("code", "address", "args"),
    [
        (404, "/rwkv/nothing", ()),
        (422, "/rwkv/trigger", (65,)),
        (406, "/rwkv/undo", ()),
        (503, "/rwkv/toggle", ()),
    ],
)
def test_an_error_is_raised_with_its_code(
    client: OscClient, code: int, address: str, args: tuple[int | str, ...]
) -> None:
    with pytest.raises(OscError) as error:
        client.request(address, *args)
    assert error.value.code == code


def test_nobody_there_is_said(service: OscService) -> None:
    with (
        OscClient("127.0.0.1", 9, timeout_s=0.05) as client,
        pytest.raises(NoAnswerError, match=r"nobody answers at 127\.0\.0\.1:9"),
    ):
        client.request("/rwkv/status")


def test_an_answer_that_does_not_come_is_said(service: OscService) -> None:
    with (
        OscClient("127.0.0.1", service.port, timeout_s=0.2) as client,
        pytest.raises(NoAnswerError, match="no /rwkv/status came"),
    ):
        client.request("/rwkv/status")


def test_events_are_listened_to(client: OscClient, service: OscService) -> None:
    events = list(client.listen(0.1))
    assert events == [Message("/rwkv/state", ("idle",))]
    client.request("/rwkv/ping", "")
    assert [r.name for r in service.requests] == ["subscribe", "unsubscribe"]


def test_a_service_that_says_nothing_is_asked_again_and_then_told_to_be_gone_once(
    client: OscClient, service: OscService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_ASKED_AGAIN_S", 0.1)
    monkeypatch.setattr(client_module, "_GONE_S", 0.25)
    events: list[Message | None] = []
    for event in client.listen(3.0):
        events.append(event)
        # Forgotten, as by one that was started again; then gone; then there again.
        service.silent = len(events) == 2
        if len(events) == 4:
            break
    there = Message("/rwkv/state", ("idle",))
    assert events == [there, there, None, there]
