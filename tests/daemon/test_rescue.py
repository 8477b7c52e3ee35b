"""What ends the notes of a process that cannot end them itself."""

from __future__ import annotations

import pytest
from rwkv_music_daemon import rescue as module
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.messages import Connections
from rwkv_music_daemon.ports.memory import MemoryOutput, MemorySystem
from rwkv_music_daemon.rescue import Rescue, insist_on_silence
from rwkv_music_daemon.silence import panic_messages

from rwkv_music.errors import PortError

WHOLE, SHORT = list(panic_messages(None)), list(panic_messages())


class Machine(MemorySystem):
    """Ports in memory; counts who asks for it."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.opened = self.closed = 0
        self.is_there = True

    def open(self, api: str, clock: object) -> Machine:
        if not self.is_there:
            raise PortError("no server")
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(module, "open_system", machine.open)
    monkeypatch.setattr(module, "_REPEAT_S", 0.0)
    return machine


def silence(*destinations: str, api: str = "memory") -> None:
    rescue = Rescue()
    rescue.silence(Connections(api, destinations))
    rescue.end()


def messages(port: MemoryOutput) -> list[bytes]:
    return [message for _, message in port.sent]


def test_nothing_is_opened_when_nobody_listened(machine: Machine) -> None:
    silence()
    assert machine.opened == 0


def test_every_destination_is_silenced_and_its_port_closed(machine: Machine) -> None:
    synth, other = machine.add_destination("synth:in"), machine.add_destination("other:in")
    silence("synth:in", "gone:in", "other:in")
    for port in (synth, other):
        assert messages(port) == WHOLE
        assert port.closed
    assert machine.opened == machine.closed == 1


def test_on_jack_it_is_sent_until_it_cannot_have_been_lost(machine: Machine) -> None:
    synth = machine.add_destination("synth:in")
    machine.api = "jack"
    silence("synth:in", api="jack")
    assert messages(synth) == [*WHOLE, *(SHORT * module._REPEATS), *WHOLE]


def test_a_system_that_has_gone_is_said_not_raised(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.is_there = False
    silence("synth:in")
    assert "cannot silence synth:in" in caplog.text


def test_where_nothing_gets_lost_once_is_enough() -> None:
    sent: list[bytes] = []
    insist_on_silence("alsa", sent.append)
    assert sent == WHOLE
