"""The loop of the ports' process, over ports in memory and a worker of this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from rwkv_music_daemon import io_loop as module
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.config import from_dict
from rwkv_music_daemon.io_loop import IoLoop
from rwkv_music_daemon.links import Hub, Link, call
from rwkv_music_daemon.messages import Message, Ready
from rwkv_music_daemon.osc.server import OscServer
from rwkv_music_daemon.output_thread import Output
from rwkv_music_daemon.ports.memory import MemoryInput, MemoryOutput
from rwkv_music_daemon.worker import Worker
from session_stage import lift, ms, press

from rwkv_music.errors import WorkerError
from rwkv_music.model.scripted import ScriptedModel

TOKEN = "0123456789abcdef"
STEP_MS = 2


class Caller:
    """A model's process, without the process."""

    def __init__(self, hub: Hub, name: str, model: ScriptedModel) -> None:
        self.link: Link = call(hub.port, name, TOKEN)
        self.link.send(Ready(name, ms(300)))
        self.heard: list[Message] = []
        self._worker = Worker(model, self.link.send)

    def work(self) -> None:
        try:
            messages = self.link.receive()
        except WorkerError:
            return
        self.heard += messages
        self._worker.handle(messages)
        while self._worker.work():
            pass


class Stage:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.port = MemoryOutput("Out", self.clock)
        self.input = MemoryInput("In", self.clock)
        self.output = Output(self.port, self.clock)
        self.hub = Hub(TOKEN)
        config = from_dict(
            {"generation": {"thru": 1, "bars": 1}, "transport": {"source": "internal"}}
        )
        osc = OscServer("127.0.0.1", 0)
        self.loop = IoLoop(config, self.clock, self.input, self.output, osc, self.hub)
        self.callers: list[Caller] = []

    def come(self, name: str, script: str = "") -> Caller:
        caller = Caller(self.hub, name, ScriptedModel(script))
        self.callers.append(caller)
        return caller

    def run_until_ms(self, end_ms: float) -> None:
        while self.clock.now_ns() < ms(end_ms):
            self.clock.advance_to_ns(self.clock.now_ns() + ms(STEP_MS))
            self.step()

    def step(self) -> None:
        self.loop.step()
        for caller in self.callers:
            caller.work()
        self.loop.step()
        self.output.pump()

    def until(self, is_so: Callable[[], object]) -> None:
        ends_s = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < ends_s
            self.step()

    def close(self) -> None:
        self.loop.close()
        for caller in self.callers:
            caller.link.close()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(module, "_POLL_S", 0)
    monkeypatch.setattr(module, "_REST_POLL_S", 0)
    stage = Stage()
    yield stage
    stage.close()


def onsets_ms(stage: Stage, pitch: int) -> list[float]:
    return [t / 1e6 for t, m in stage.port.sent if m[0] == 0x90 and m[1] == pitch and m[2]]


def test_in_trade_another_model_takes_over_while_the_player_has_his_turn(stage: Stage) -> None:
    """Although something is armed all the time, and though he holds a key that is sent on."""
    stage.come("worker")
    stage.until(lambda: stage.loop.conductor.model)
    stage.loop.conductor.set_mode("trade", 1, 1)
    stage.loop.conductor.transport.play(0)
    stage.run_until_ms(4400)  # our turns are from 2000 and from 6000 on
    stage.input.push(press(50))
    stage.come("worker-2")
    stage.run_until_ms(5000)
    assert stage.loop.conductor.state == "armed"
    assert stage.loop.conductor.model == "worker-2"
    assert stage.output.sounding == 1
    stage.input.push(lift(50))
    stage.run_until_ms(8200)
    assert onsets_ms(stage, 60) == pytest.approx([2000, 6000], abs=STEP_MS)


def test_it_waits_for_what_plays(stage: Stage) -> None:
    stage.come("worker")
    stage.until(lambda: stage.loop.conductor.model)
    stage.loop.conductor.transport.play(0)
    stage.run_until_ms(100)
    stage.loop.conductor.trigger(stage.clock.now_ns())
    stage.run_until_ms(2600)
    stage.come("worker-2")
    stage.run_until_ms(3900)
    assert (stage.loop.conductor.model, stage.loop.workers.one_is_ready) == ("worker", True)
    stage.run_until_ms(4200)
    assert stage.loop.conductor.model == "worker-2"
    assert [len(onsets_ms(stage, pitch)) for pitch in (60, 61, 62, 63)] == [1, 1, 1, 1]
