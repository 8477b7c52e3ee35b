"""The web page's server, between a service with the real OSC server and a browser's requests."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from monitor_site import Site, free_tcp_port, until
from osc_service import OscService
from rwkv_music_daemon.boot import Boot, start_child
from rwkv_music_daemon.config import Config
from rwkv_music_daemon.config_sections import MonitorConfig
from rwkv_music_daemon.monitor import monitor_absence
from rwkv_music_daemon.monitor.backlog import Backlog
from rwkv_music_daemon.monitor.server import Monitor, is_for_pages
from rwkv_music_daemon.osc.framing import Message

from rwkv_music.errors import ConfigError

pytestmark = pytest.mark.skipif(monitor_absence() != "", reason=monitor_absence())
STATUS = ("listening", 3, 13.5, 97.0, 4, 4, "internal", "a model")


def status(beat: float) -> Message:
    return Message("/rwkv/status", ("listening", 0, beat, 120.0, 4, 4, "internal", "m"))


def played(beat: float) -> Message:
    return Message("/rwkv/note/played", (1, beat, 60, 80, 1.0))


# --- what a new page is told ---


def test_a_new_page_is_told_the_latest_of_everything_and_all_notes() -> None:
    backlog = Backlog()
    for message in (
        Message("/rwkv/state", ("idle",)),
        status(1.0),
        played(1.0),
        Message("/rwkv/state", ("playing",)),
        status(2.0),
        played(2.0),
        Message("/rwkv/done", (1, 4, 16, 0, 0, 0.4)),
        Message("/rwkv/done", (2, 4, 17, 0, 0, 0.5)),
        Message("/rwkv/error", (404, "unknown", "/rwkv/nonsense")),
    ):
        backlog.add(message)
    told = list(backlog)
    assert [m.args for m in told if m.address == "/rwkv/state"] == [("playing",)]
    assert [m.args[2] for m in told if m.address == "/rwkv/status"] == [2.0]
    assert [m.args[1] for m in told if m.address == "/rwkv/note/played"] == [1.0, 2.0]
    assert [m.args[0] for m in told if m.address == "/rwkv/done"] == [1, 2]
    assert not any(m.address == "/rwkv/error" for m in told)


def test_notes_from_before_a_jump_have_no_place_any_more() -> None:
    backlog = Backlog()
    for message in (status(30.0), played(30.0), status(0.1), played(0.0)):
        backlog.add(message)
    assert [m.args[1] for m in backlog if m.address == "/rwkv/note/played"] == [0.0]


def test_it_does_not_grow_for_ever() -> None:
    backlog = Backlog()
    for number in range(5000):
        backlog.add(played(float(number)))
        backlog.add(Message("/rwkv/done", (number, 4, 16, 0, 0, 0.4)))
    assert len(list(backlog)) < 2100


# --- the server ---


@pytest.fixture
def service() -> Iterator[OscService]:
    opened = OscService(lambda r: [("/rwkv/status", *STATUS)] if r.name == "status" else [])
    yield opened
    opened.close()


@pytest.fixture
def site(service: OscService) -> Iterator[Site]:
    opened = Site(service.port, free_tcp_port())
    until(lambda: service.requests)
    yield opened
    opened.close()


def test_where_it_is_is_told_once_it_is_there(site: Site) -> None:
    with site.get("/"):
        assert site.places == [f"{site.url}/"]


def test_the_page_needs_nothing_from_elsewhere(site: Site) -> None:
    with site.get("/") as answer:
        text = answer.read().decode()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<title>RWKV Music</title>" in text
    assert "http" not in text.replace("http-equiv", "")


def test_what_the_service_says_reaches_the_page(site: Site, service: OscService) -> None:
    with site.get("/events") as events:
        told = []
        while not any(m.get("address") == "/rwkv/status" for m in told):
            line = events.readline().decode()
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
        assert told[-1]["args"] == pytest.approx(list(STATUS))
        service.server.publish("/rwkv/note/played", 1, 14.0, 60, 90, 0.5)
        while told[-1].get("address") != "/rwkv/note/played":
            line = events.readline().decode()
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
        assert told[-1]["args"] == [1, 14.0, 60, 90, 0.5]


def test_what_the_page_asks_reaches_the_service(site: Site, service: OscService) -> None:
    assert site.ask({"address": "/rwkv/trigger", "args": [4]}) == 204
    assert site.ask({"address": "/rwkv/set/temperature", "args": [0.5]}) == 204
    until(lambda: any(r.name == "set" for r in service.requests))
    asked = {r.name: r.args for r in service.requests}
    assert asked["trigger"] == (4, None)
    assert asked["set"] == ("temperature", 0.5)


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ({"address": "/rwkv/nonsense"}, {}, 400),
        ({"address": "/rwkv/subscribe", "args": [9]}, {}, 400),
        ({"address": "/rwkv/trigger", "args": [[1]]}, {}, 400),
        ({"address": "/rwkv/trigger", "args": [2**31]}, {}, 400),
        ({"address": 7}, {}, 400),
        ([], {}, 400),
        ({"address": "/rwkv/trigger"}, {"Content-Type": "text/plain"}, 415),
        ({"address": "/rwkv/trigger"}, {"Origin": "http://example.org"}, 403),
        ({"address": "/rwkv/trigger"}, {"Host": "example.org"}, 403),
    ],
)
def test_what_is_no_request_of_the_page_is_refused(
    site: Site, service: OscService, body: object, headers: dict[str, str], code: int
) -> None:
    assert site.ask(body, **headers) == code
    assert not any(r.name in ("trigger", "subscribe") and r.args == (9,) for r in service.requests)
    assert not any(r.name == "trigger" for r in service.requests)


def test_another_name_for_this_machine_gets_no_page(site: Site) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        site.get("/", Host="rebound.example.org")


def test_a_port_that_is_taken_is_said(site: Site, service: OscService) -> None:
    second = Site(service.port, int(site.url.rpartition(":")[2]))
    until(lambda: second.error is not None)
    assert "monitor.port" in str(second.error)
    assert second.places == []


def test_its_process_ends_in_order_when_its_port_is_taken(site: Site) -> None:
    taken = MonitorConfig(True, int(site.url.rpartition(":")[2]))
    process = start_child(
        "monitor_process", Boot.of("monitor", Config(monitor=taken), "", 0), keeps_pipe=True
    )
    try:
        assert process.wait(60) == 1  # and is not aborted
    finally:
        process.kill()
        process.communicate()


def test_without_its_library_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rwkv_music_daemon.monitor.server.monitor_absence", lambda: "the web page needs a library"
    )
    with pytest.raises(ConfigError, match="library"):
        Monitor(Config())


def test_pages_may_ask_for_parameters_and_nothing_strange() -> None:
    assert is_for_pages("/rwkv/set/bars")
    assert is_for_pages("/rwkv/take/next")
    assert not is_for_pages("/rwkv/unsubscribe")
    assert not is_for_pages("/other/set/bars")
    assert not is_for_pages(None)
