"""Ports that are open before anything happens, and what is sent over them when it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rwkv_music_daemon import rescue as module
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.messages import Connections
from rwkv_music_daemon.ports.memory import MemoryOutput, MemorySystem
from rwkv_music_daemon.rescue import Rescue, insist_on_silence
from rwkv_music_daemon.silence import panic_messages

from rwkv_music.errors import PortError


class Machine(MemorySystem):
    """Ports in memory that can be lost; counts who asks for it."""

    def __init__(self) -> None:
        super().__init__(ManualClock())
        self.opened = self.closed = 0
        self.is_alive = True

    def alive(self) -> bool:
        return self.is_alive

    def open(self, api: str, clock: object) -> Machine:
        self.opened += 1
        self.is_alive = True
        return self

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(module, "open_system", machine.open)
    monkeypatch.setattr(module, "_REPEAT_S", 0.0)
    return machine


@contextmanager
def standing_by() -> Iterator[Rescue]:
    rescue = Rescue()
    yield rescue
    rescue.end()


def to(*destinations: str, api: str = "memory") -> Connections:
    return Connections(api, destinations)


def until(is_so: Callable[[], object]) -> None:
    ends_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends_s
        time.sleep(0.001)


def messages(port: MemoryOutput) -> list[bytes]:
    return [message for _, message in port.sent]


def test_nothing_is_open_while_nobody_listens(machine: Machine) -> None:
    with standing_by() as rescue:
        rescue.follow(to())
        rescue.silence()
    assert machine.opened == 0


def test_silence_goes_to_every_destination_and_to_no_other(machine: Machine) -> None:
    synth, other = machine.add_destination("synth:in"), machine.add_destination("other:in")
    with standing_by() as rescue:
        rescue.follow(to("synth:in", "other:in"))
        rescue.follow(to("synth:in"))
        until(lambda: other.closed)
        rescue.silence()
    assert messages(synth) == list(panic_messages(None))
    assert messages(other) == []
    assert synth.closed
    assert machine.opened == machine.closed == 1


def test_on_jack_it_is_sent_until_it_cannot_have_been_lost(machine: Machine) -> None:
    synth = machine.add_destination("synth:in")
    machine.api = "jack"
    with standing_by() as rescue:
        rescue.follow(to("synth:in", api="jack"))
        rescue.silence()
    whole, short = list(panic_messages(None)), list(panic_messages())
    assert messages(synth) == [*whole, *(short * module._REPEATS), *whole]


def test_a_destination_without_a_port_is_silenced_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(module, "silence", lambda api, names: asked.append((api, tuple(names))))
    with standing_by() as rescue:
        rescue.follow(to("gone:in"))  # it cannot be opened
        rescue.silence()
        rescue.silence_others(to("left:in"))
    assert ("memory", ("gone:in",)) in asked
    assert ("memory", ("left:in",)) in asked


def test_a_system_that_has_gone_is_opened_anew(machine: Machine) -> None:
    synth = machine.add_destination("synth:in")
    with standing_by() as rescue:
        rescue.follow(to("synth:in"))
        until(lambda: machine.opened == 1)
        machine.is_alive = False
        rescue.follow(to("synth:in"))
        until(lambda: machine.opened == 2)
        rescue.silence()
    assert messages(synth) == list(panic_messages(None))


def test_what_cannot_be_had_does_not_end_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    synth = machine.add_destination("synth:in")

    def refuse(api: str, clock: object) -> Machine:
        raise PortError("no server")

    monkeypatch.setattr(module, "open_system", refuse)
    with standing_by() as rescue:
        rescue.follow(to("synth:in"))
        until(lambda: rescue._tasks.empty())
        monkeypatch.setattr(module, "open_system", machine.open)
        rescue.follow(to("synth:in"))
        rescue.silence()
    assert messages(synth) == list(panic_messages(None))


def test_other_systems_lose_nothing() -> None:
    sent: list[bytes] = []
    insist_on_silence("alsa", sent.append)
    assert sent == list(panic_messages(None))
