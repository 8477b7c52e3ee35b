"""The io loop on ports in memory and a clock that is moved by hand; the socket is a real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.config import from_dict
from rwkv_music_daemon.io_loop import IoLoop
from rwkv_music_daemon.links import Hub
from rwkv_music_daemon.osc.client import OscClient
from rwkv_music_daemon.osc.server import OscServer
from rwkv_music_daemon.output_thread import Output
from rwkv_music_daemon.parameters import PARAMETERS
from rwkv_music_daemon.ports.memory import MemoryInput, MemoryOutput
from rwkv_music_daemon.silence import panic_messages

MS = 1_000_000
HOUR_MS = 3_600_000


class Service:
    """`run_ms` moves on, in steps of some milliseconds; `sleep_ms` in a single one."""

    def __init__(self, folder: Path, **generation: object) -> None:
        self.clock = ManualClock()
        self.port = MemoryOutput("out", self.clock)
        self.input = MemoryInput("in", self.clock)
        self.output = Output(self.port, self.clock)
        self.osc = OscServer("127.0.0.1", 0, self.clock.now_ns)
        config = from_dict({"service": {"data_dir": str(folder)}, "generation": generation})
        self.loop = IoLoop(config, self.clock, self.input, self.output, self.osc, Hub("secret"))
        self.client = OscClient(port=self.osc.port)

    def run_ms(self, for_ms: int) -> None:
        for _ in range(0, for_ms, 5):
            self.sleep_ms(5)

    def sleep_ms(self, for_ms: int) -> None:
        self.clock.advance_ns(for_ms * MS)
        self.loop.step()
        self.output.pump()

    @property
    def sent(self) -> list[bytes]:
        return [message for _, message in self.port.sent]

    def close(self) -> None:
        self.loop.close()
        self.client.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, thru=1, metronome=1)
    yield made
    made.close()


def test_a_subscription_is_answered_with_the_current_values(service: Service) -> None:
    service.client.subscribe()
    assert select([service.osc], [], [], 5.0)[0]
    service.run_ms(50)
    told = {}
    while (message := service.client.receive(0)) is not None:
        told[message.address] = message.args
    assert told["/rwkv/state"] == ("idle",)
    assert told["/rwkv/worker"] == ("down",)
    assert told["/rwkv/param/thru"] == (1,)
    assert {f"/rwkv/param/{name}" for name in PARAMETERS} <= set(told)


def test_a_machine_that_slept_is_silent_when_it_wakes(service: Service) -> None:
    service.input.push(bytes((0x90, 60, 80)))
    service.input.push(bytes((0xB0, 64, 127)))
    service.run_ms(1200)
    assert service.output.sounding == 1
    before = len(service.sent)
    service.sleep_ms(HOUR_MS)
    assert service.output.sounding == 0
    woken = service.sent[before:]
    assert woken[:2] == [bytes((0x80, 60, 0)), bytes((0xB0, 64, 0))]
    assert woken[2 : 2 + len(panic_messages())] == list(panic_messages())
    assert not service.loop.conductor.listener.held_pitches


def test_a_metronome_does_not_make_up_for_what_was_slept_through(service: Service) -> None:
    service.client.send("/rwkv/transport/play")
    assert select([service.osc], [], [], 5.0)[0]
    service.run_ms(1200)
    before = len(service.sent)
    service.sleep_ms(HOUR_MS)
    service.run_ms(1000)
    clicks = [m for m in service.sent[before:] if m[0] & 0xF0 == 0x90]
    assert len(clicks) <= 3
