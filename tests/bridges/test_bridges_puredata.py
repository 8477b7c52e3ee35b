"""The patch in real Pure Data, without a window, with the service's own code at the other end."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bridge_service import BridgeService
from pure_data import PATCHES, PureData
from rwkv_music_daemon.osc.requests import REQUESTS
from rwkv_music_daemon.parameters import PARAMETERS

pytestmark = pytest.mark.skipif(
    shutil.which("pd") is None and os.environ.get("RWKV_MUSIC_REAL") != "1",
    reason="pd is not installed (Debian: puredata-core)",
)


# The abstraction is found by the path, not beside the patch.
OWN_PATCH = """#N canvas 0 0 400 300 12;
#X declare -path {folder};
#X obj 20 50 rwkv_music;
"""


class ServedPureData(PureData):
    """Together with the service at the other end."""

    def __init__(self, folder: Path, service: BridgeService) -> None:
        self.service = service
        super().__init__(folder, service.server.port)

    def asked(self, message: str, name: str) -> tuple[object, ...]:
        """The arguments of the next request of that name, after sending inside Pd."""
        before = len(self.service.named(name))
        self.send(message)
        self.wait(lambda: len(self.service.named(name)) > before)
        return self.service.named(name)[-1]


@pytest.fixture(scope="module")
def pd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPureData]:
    service = BridgeService()
    pd = ServedPureData(tmp_path_factory.mktemp("pd"), service)
    service.serve()
    try:
        pd.wait(lambda: "heard: state" in pd.said())
        yield pd
    finally:
        pd.close()
        service.close()


def test_the_patch_loads_without_a_complaint(pd: ServedPureData) -> None:
    assert not re.search(r"error|couldn't create|no such object", pd.said().partition("heard")[0])


@pytest.mark.parametrize(
    ("message", "name", "args"),
    [
        ("rwkv-trigger bang", "trigger", (None, None)),
        ("rwkv-trigger-bars 8", "trigger", (8, None)),
        ("rwkv-toggle bang", "toggle", ()),
        ("rwkv-stop bang", "stop", ()),
        ("rwkv-panic bang", "panic", ()),
        ("rwkv-regenerate bang", "regenerate", ()),
        ("rwkv-take-next bang", "take/next", ()),
        ("rwkv-take-select 2", "take/select", (2,)),
        ("rwkv-undo bang", "undo", ()),
        ("rwkv-reset bang", "reset", ()),
        ("rwkv-mode 0", "mode", ("manual", None, None)),
        ("rwkv-mode 1", "mode", ("trade", 4, 4)),
        ("rwkv-mode 2", "mode", ("auto", None, None)),
        ("rwkv-tempo 97.5", "transport/tempo", (97.5,)),
        ("rwkv-position 17.25", "transport/position", (17.25,)),
        ("rwkv-seconds 3.5", "transport/seconds", (3.5,)),
        ("rwkv-play bang", "transport/play", ()),
        ("rwkv-halt bang", "transport/stop", ()),
        ("rwkv-go-on bang", "transport/continue", ()),
        ("rwkv-numerator 3", "transport/meter", (3, 4)),
        ("rwkv-bbt symbol 3.1.50", "transport/bbt", ("3.1.50",)),
        ("rwkv-source symbol internal", "transport/source", ("internal",)),
        ("rwkv-learn symbol trigger", "learn", ("trigger",)),
        ("rwkv-unlearn symbol trigger", "unlearn", ("trigger",)),
        ("rwkv-learn-list bang", "learn/list", ()),
        ("rwkv-memory-save symbol verse", "memory/save", ("verse",)),
        ("rwkv-memory-load symbol verse", "memory/load", ("verse",)),
        ("rwkv-memory-list bang", "memory/list", ()),
        ("rwkv-model-load symbol big", "model/load", ("big",)),
        ("rwkv-model-list bang", "model/list", ()),
        ("rwkv-ask-status bang", "status", ()),
        ("rwkv-ask-history bang", "history", (None,)),
        ("rwkv-ask-params bang", "params", ()),
        ("rwkv-ping bang", "ping", (None,)),
        ("rwkv-request /rwkv/once/temperature 0.5", "once", ("temperature", 0.5)),
    ],
)
def test_a_control_is_a_request(
    pd: ServedPureData, message: str, name: str, args: tuple[object, ...]
) -> None:
    assert pd.asked(message, name) == args


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_has_a_field(pd: ServedPureData, name: str) -> None:
    parameter = PARAMETERS[name]
    if parameter.type == "s":
        value: object = parameter.choices[-1]
        message = f"rwkv-set-{name} symbol {value}"
    else:
        value = parameter.maximum if parameter.maximum < 1000 else 7
        message = f"rwkv-set-{name} {value}"
    pd.asked(message, "set")
    found, given = pd.service.named("set")[-1]
    assert found == name
    assert given == (value if parameter.type == "s" else pytest.approx(value))


def test_bars_of_a_trade_are_kept(pd: ServedPureData) -> None:
    pd.send("rwkv-listen-bars 2")
    pd.send("rwkv-play-bars 8")
    assert pd.asked("rwkv-mode 1", "mode") == ("trade", 2, 8)


def test_a_bar_of_a_song_is_sent_with_its_number(pd: ServedPureData) -> None:
    for message in ("rwkv-numerator 6", "rwkv-denominator 8", "rwkv-bar-line 16"):
        pd.send(message)
    assert pd.asked("rwkv-bar-number 4", "transport/bar") == (4, 16.0, 6, 8)


def test_what_the_service_says_comes_out(pd: ServedPureData) -> None:
    before = len(pd.said())
    pd.send("rwkv-request /rwkv/set/bars 99")
    pd.wait(lambda: "rwkv-error: 422" in pd.said()[before:])
    pd.send("rwkv-set-bars 16")
    pd.wait(lambda: "heard: param bars 16" in pd.said()[before:])
    pd.send("rwkv-ask-status bang")
    pd.wait(lambda: re.search(r"heard: status \w+ \d+ ", pd.said()[before:]))


def test_a_value_that_the_service_tells_is_shown_and_not_sent_back(pd: ServedPureData) -> None:
    pd.asked("rwkv-set-density 2", "set")
    asked = len(pd.service.named("set"))
    pd.send("rwkv-request /rwkv/get/density")
    pd.asked("rwkv-ping bang", "ping")
    pd.asked("rwkv-ping bang", "ping")
    assert len(pd.service.named("set")) == asked


def test_a_second_one_sends_nothing(pd: ServedPureData, tmp_path: Path) -> None:
    """As an object in a patch that is elsewhere, while the first is open."""
    folder = pd.output.parent
    (tmp_path / "own.pd").write_text(OWN_PATCH.format(folder=folder), encoding="utf-8")
    before = len(pd.said())
    pd.send(f"pd open own.pd {tmp_path}")
    pd.wait(lambda: "rwkv-error: a second rwkv_music" in pd.said()[before:])
    assert "couldn't create" not in pd.said()[before:]
    presses = ("rwkv-toggle bang", "rwkv-set-bars 8", "rwkv-request /rwkv/undo", "rwkv-mode 2")
    names = ("toggle", "set", "undo", "mode", "subscribe")
    counts = {name: len(pd.service.named(name)) for name in names}
    for press in presses:
        pd.send(press)
    pd.asked("rwkv-ping bang", "ping")
    pd.asked("rwkv-ping bang", "ping")
    found = {name: len(pd.service.named(name)) - count for name, count in counts.items()}
    assert found == {"toggle": 1, "set": 1, "undo": 1, "mode": 1, "subscribe": 0}
    pd.send("pd-own.pd menuclose")
    assert pd.asked("rwkv-ping bang", "ping") == (None,)


def test_a_service_that_was_started_anew_is_found_again(pd: ServedPureData) -> None:
    """The events have ceased: the patch subscribes again."""
    before = len(pd.service.named("subscribe"))
    pd.wait(lambda: len(pd.service.named("subscribe")) > before)


def test_every_request_is_in_the_patch() -> None:
    text = (PATCHES / "rwkv_music.pd").read_text(encoding="utf-8")
    said = set(re.findall(r"/rwkv(?:/\w+)+", text))
    without = {a for a in REQUESTS if a.startswith("/rwkv/compose/")} | {"/rwkv/unsubscribe"}
    assert said == set(REQUESTS) - without
    fields = (PATCHES / "rwkv_parameters.pd").read_text(encoding="utf-8")
    assert set(re.findall(r"/rwkv/set/(\w+)", fields)) == set(PARAMETERS)


def test_after_the_first_another_takes_over(tmp_path: Path) -> None:
    service = BridgeService()
    pd = ServedPureData(tmp_path, service)
    service.serve()
    try:
        pd.wait(lambda: "heard: state" in pd.said())
        pd.send("pd-rwkv_music.pd menuclose 1")
        (tmp_path / "own.pd").write_text(OWN_PATCH.format(folder=tmp_path), encoding="utf-8")
        pd.send(f"pd open own.pd {tmp_path}")
        pd.asked("rwkv-toggle bang", "toggle")
        pd.wait(lambda: len(service.named("subscribe")) > 1)
        assert len(service.named("toggle")) == 1
        assert "rwkv-error" not in pd.said()
    finally:
        pd.close()
        service.close()
