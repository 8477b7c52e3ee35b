"""The supervisor over fake children: who is started, who is given up, what is said and silenced."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from rwkv_music_daemon import child as child_module
from rwkv_music_daemon import supervisor as module
from rwkv_music_daemon.boot import Boot
from rwkv_music_daemon.links import call
from rwkv_music_daemon.messages import (
    Connections,
    Failed,
    Load,
    NotLoaded,
    Patched,
    Ping,
    Ready,
    Serving,
    WorkerState,
)
from rwkv_music_daemon.record import Record
from supervised_house import SYNTH, House

from rwkv_music.errors import CheckpointError, ConfigError, PortError, WorkerError


def test_io_first_then_the_worker_then_ready_once(house: House) -> None:
    house.run_until(lambda: house.children["io"])
    assert house.children["worker"] == []
    house.come_up()
    assert house.worker.boot.io_port == 1
    assert house.io.boot.token == house.worker.boot.token
    house.io.say(Serving("worker", "a model"))
    house.run_until(lambda: [m for m in house.io.heard if isinstance(m, Ping)])
    assert house.printed == ["ready memory: In, Out; model a model"]


@pytest.mark.parametrize(
    ("role", "code", "error"),
    [("io", 3, PortError), ("worker", 4, CheckpointError), ("worker", 2, ConfigError)],
)
def test_a_child_that_cannot_start_says_why(
    house: House, role: str, code: int, error: type[Exception]
) -> None:
    house.lines[role] = [Failed(code, "this is why")]
    with pytest.raises(error, match="this is why"):
        house.run_until(lambda: bool(house.children[role]) and house.children[role][0].die(code))


def test_a_child_that_crashes_at_the_start_is_not_started_for_ever(house: House) -> None:
    house.run_until(lambda: house.children["io"])
    house.io.die(1)
    with pytest.raises(WorkerError, match="io ended with code 1"):
        house.run_until(lambda: False)


def test_a_worker_that_dies_is_started_again_and_io_told(house: House) -> None:
    house.come_up()
    house.worker.die()
    house.run_until(lambda: len(house.children["worker"]) == 2)
    house.run_until(lambda: house.io.heard.count(WorkerState("restarting")) == 2)
    assert len(house.children["io"]) == 1
    assert all(name != "silence" for name, _ in house.rescued)  # io does that itself


def test_a_process_that_the_system_refuses_is_started_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.come_up()
    start, refusals = child_module.start_child, iter([OSError(12, "Cannot allocate memory")] * 2)

    def refuse(name: str, boot: Boot) -> object:
        for error in refusals:
            raise error
        return start(name, boot)

    monkeypatch.setattr(child_module, "start_child", refuse)
    house.io.say(Load("/models/large.safetensors"))
    house.run_until(lambda: [m for m in house.io.heard if isinstance(m, NotLoaded)])
    assert not house.io.killed
    house.worker.die()
    house.run_until(lambda: len(house.children["worker"]) == 2)


def test_a_service_that_may_have_no_process_at_all_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, boot: Boot) -> object:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(child_module, "start_child", refuse)
    with pytest.raises(WorkerError, match=r"io cannot be started.*memory"):
        house.supervisor._look()


def test_services_at_any_free_port_keep_no_record(tmp_path: Path) -> None:
    """There may be several, and one would take that of another for left behind."""
    record = Record(tmp_path, 0)
    record.keep(SYNTH)
    assert list(tmp_path.iterdir()) == []
    assert record.read() is None


def test_a_worker_that_hangs_is_killed_and_one_that_loads_is_not(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_HUNG_S", 0.1)
    monkeypatch.setattr(module, "_PING_S", 0.02)
    house.lines["worker"] = []  # it loads
    house.run_until(lambda: house.children["worker"])
    house.worker.answers_pings = False
    ends_s = time.monotonic() + 0.4
    house.run_until(lambda: time.monotonic() > ends_s)
    assert not house.worker.killed
    first = house.worker
    first.say(Ready("a model", 0))
    house.run_until(lambda: first.killed)
    house.run_until(lambda: len(house.children["worker"]) == 2)


def test_a_supervisor_that_was_stopped_kills_nobody_for_having_been_stopped_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.come_up()
    stopped_s = child_module._HUNG_S + 2
    monotonic = time.monotonic
    monkeypatch.setattr(module.time, "monotonic", lambda: monotonic() + stopped_s)
    house.run_until(lambda: [m for m in house.worker.heard if isinstance(m, Ping)])
    for _ in range(5):
        house.supervisor._look()
    assert not house.io.killed
    assert not house.worker.killed
    assert house.rescued == []


def test_an_io_that_dies_is_silenced_and_everything_begins_again(house: House) -> None:
    house.come_up()
    house.io.say(SYNTH)
    house.run_until(house.record.exists)
    worker = house.worker
    house.io.die()
    house.run_until(lambda: len(house.children["io"]) == 2)
    assert ("silence", SYNTH) in house.rescued
    assert worker.killed  # its io is gone
    house.run_until(lambda: len(house.children["worker"]) == 2)


def test_the_next_io_is_told_what_the_dead_one_was_connected_to(house: House) -> None:
    patched = Patched(("keys:out",), (), ("synth:in",))
    house.come_up()
    house.io.say(patched)
    house.run_until(lambda: house.supervisor._patched == patched)
    house.io.die()
    house.run_until(lambda: len(house.children["io"]) == 2)
    house.run_until(lambda: patched in house.io.heard)


def test_who_crashes_again_and_again_is_started_less_and_less_often(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.come_up()
    pauses = []
    for count in range(2, 6):
        house.worker.die()
        house.run_until(lambda: house.supervisor._worker.process is None)
        pauses.append(house.supervisor._worker._pause_s)
        house.run_until(lambda count=count: len(house.children["worker"]) == count)
    assert pauses == sorted(set(pauses))
    monkeypatch.setattr(child_module, "_STEADY_S", -1.0)
    house.worker.die()
    house.run_until(lambda: house.supervisor._worker.process is None)
    assert house.supervisor._worker._pause_s == child_module._FIRST_PAUSE_S


def test_destinations_are_recorded_while_there_are_any(house: House) -> None:
    house.come_up()
    house.io.say(SYNTH)
    house.run_until(house.record.exists)
    assert json.loads(house.record.read_text()) == {"api": "jack", "destinations": ["synth:in"]}
    house.io.say(Connections("jack", ()))
    house.run_until(lambda: not house.record.exists())


def test_what_a_killed_service_left_is_silenced_once_io_has_the_osc_port(house: House) -> None:
    house.record.write_text(json.dumps({"api": "jack", "destinations": ["synth:in"]}))
    house.run_until(lambda: house.rescued)
    assert house.rescued[0] == ("silence", SYNTH)
    assert not house.record.exists()


def test_a_second_service_leaves_the_record_of_the_first_alone(house: House) -> None:
    text = json.dumps({"api": "jack", "destinations": ["synth:in"]})
    house.record.write_text(text)
    house.lines["io"] = [Failed(3, "osc.port is taken")]
    with pytest.raises(PortError):
        house.run_until(lambda: bool(house.children["io"]) and house.io.die(3))
    house.end()
    assert house.record.read_text() == text
    assert [name for name, _ in house.rescued] == ["end"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", '{"api": "jack"}', '{"api": 1, "destinations": 5}', "\0"]
)
def test_a_damaged_record_is_ignored(house: House, text: str) -> None:
    house.record.write_text(text)
    house.come_up()
    assert house.rescued == []


def test_an_end_in_order(house: House) -> None:
    house.come_up()
    house.io.say(SYNTH)
    house.run_until(house.record.exists)
    house.end()
    assert [child.returncode for child in (house.io, house.worker)] == [0, 0]
    assert [name for name, _ in house.rescued] == ["end"]
    assert not house.record.exists()


@pytest.mark.parametrize("dies", [True, False])
def test_an_end_that_io_does_not_take_part_in(
    house: House, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    monkeypatch.setattr(module, "_STOP_S", 0.05)
    house.come_up()
    house.io.obeys = False
    if dies:
        house.io.die(-15)
    house.end()
    assert house.io.returncode is not None
    assert [name for name, _ in house.rescued] == ["silence", "end"]


def test_strangers_are_not_taken_for_children(house: House) -> None:
    house.come_up()
    boot = house.io.boot
    stranger = call(boot.supervisor_port, "io", "guess")
    stranger.send(Failed(2, "nonsense"))
    again = call(boot.supervisor_port, "io", boot.token)  # right, but there is an io already
    again.send(Connections("jack", ("elsewhere:in",)))
    ends_s = time.monotonic() + 0.1
    house.run_until(lambda: time.monotonic() > ends_s)
    assert house.rescued == []
    assert len(house.children["io"]) == 1
    stranger.close()
    again.close()
