"""The supervisor over fake children: what systemd hears, and how another model comes in."""

from __future__ import annotations

import time

import pytest
from rwkv_music_daemon import supervisor as module
from rwkv_music_daemon.messages import (
    Failed,
    Load,
    Loaded,
    Message,
    NotLoaded,
    Serving,
)
from supervised_house import House


def test_systemd_hears_of_the_beginning_and_of_the_end(house: House) -> None:
    house.come_up()
    assert [said for said in house.notified if said != "alive"] == [
        "ready memory: In, Out; model a model"
    ]
    house.end()
    assert house.notified[-1] == "ending"


@pytest.mark.parametrize("role", ["io", "worker"])
def test_the_watchdog_is_fed_by_both_or_not_at_all(
    house: House, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setattr(module, "_PING_S", 0.01)
    house.come_up()
    house.run_until(lambda: house.notified.count("alive") > 3)
    silent, other = house.children[role][-1], house.children["io" if role == "worker" else "worker"]
    silent.answers_pings = False
    for _ in range(2):  # what was already on its way, and then nothing
        house.notified.clear()
        before = len(other[-1].heard)
        house.run_until(lambda b=before: len(other[-1].heard) > b + 5)
    assert "alive" not in house.notified
    silent.answers_pings = True
    house.run_until(lambda: "alive" in house.notified)


def test_another_model_is_loaded_beside_the_first_and_takes_its_place(house: House) -> None:
    house.come_up()
    first = house.worker
    house.io.say(Load("/models/other.safetensors"))
    house.run_until(lambda: len(house.children["worker"]) == 2)
    second = house.worker
    assert second.boot.settings().model.path == "/models/other.safetensors"
    assert not first.killed
    house.run_until(lambda: house.supervisor._next.serves)  # type: ignore[union-attr]
    assert second.boot.name == "worker-2"
    house.io.say(Serving("worker", "a model"))  # the first one's, which was started again, say
    ends_s = time.monotonic() + 0.1
    house.run_until(lambda: time.monotonic() > ends_s)
    assert not first.killed  # it may be playing
    house.io.say(Serving("worker-2", "another model"))
    house.run_until(lambda: first.killed)
    house.run_until(lambda: Loaded() in house.io.heard)
    assert not second.killed
    second.die()
    house.run_until(lambda: len(house.children["worker"]) == 3)
    assert house.worker.boot.settings().model.path == "/models/other.safetensors"


@pytest.mark.parametrize("last", [[Failed(4, "no weights")], []])
def test_a_model_that_cannot_be_loaded_changes_nothing(house: House, last: list[Message]) -> None:
    house.come_up()
    first = house.worker
    house.lines["worker"] = last
    house.io.say(Load("/models/broken.pth"))
    house.run_until(lambda: len(house.children["worker"]) == 2)
    house.worker.die(4)
    reason = "no weights" if last else "its process ended"
    house.run_until(lambda: NotLoaded(reason) in house.io.heard)
    assert not first.killed
    first.die()
    house.run_until(lambda: len(house.children["worker"]) == 3)
    assert house.worker.boot.settings().model.path == ""


def test_an_io_that_dies_takes_the_second_worker_with_it(house: House) -> None:
    house.come_up()
    house.io.say(Load("/models/other.safetensors"))
    house.run_until(lambda: len(house.children["worker"]) == 2)
    second = house.worker
    house.io.die()
    house.run_until(lambda: second.killed)
    house.run_until(lambda: len(house.children["worker"]) == 3)
    assert house.worker.boot.settings().model.path == ""
