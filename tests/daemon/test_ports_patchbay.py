"""Which connections are made, made again, and left alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.ports.cables import OwnCables
from rwkv_music_daemon.ports.memory import MemoryOutput, MemorySystem
from rwkv_music_daemon.ports.patch import Patch
from rwkv_music_daemon.ports.patchbay import Patchbay

from rwkv_music.errors import PortError

KEYS, SYNTH = "Launchkey 20:0", "FLUID Synth (41):in"


def test_a_named_port_is_connected_whenever_it_is_there_and_is_not() -> None:
    patch = Patch(["launchkey"])
    assert patch.look([], []) == []
    assert patch.look(["Midi Through", KEYS], []) == [KEYS]
    assert patch.look([KEYS], [KEYS]) == []
    assert patch.look([KEYS], []) == [KEYS]
    assert patch.look([], []) == []
    assert patch.look(["LAUNCHKEY 24:0"], []) == ["LAUNCHKEY 24:0"]


def test_what_was_connected_by_hand_comes_back_when_its_port_does() -> None:
    patch = Patch()
    assert patch.look([SYNTH], []) == []
    assert patch.look([SYNTH], [SYNTH]) == []
    assert patch.look([SYNTH], []) == []  # it is ending: its port goes in a moment
    assert patch.look([], []) == []
    assert patch.kept == (SYNTH,)
    assert patch.look([SYNTH], []) == [SYNTH]


def test_what_was_disconnected_by_hand_does_not_come_back() -> None:
    patch = Patch()
    patch.look([SYNTH], [SYNTH])
    for _ in range(2):
        assert patch.look([SYNTH], []) == []
    assert patch.kept == ()
    patch.look([], [])
    assert patch.look([SYNTH], []) == []


def test_our_own_port_that_is_made_again_gets_its_connections_back() -> None:
    patch = Patch()
    patch.look([SYNTH], [SYNTH])
    patch.begin()
    assert patch.look([], []) == []  # the MIDI system has just started: the others come later
    assert patch.look([SYNTH], []) == [SYNTH]


def test_what_was_kept_elsewhere_is_connected() -> None:
    patch = Patch()
    patch.keep([SYNTH, "gone"])
    assert patch.look([KEYS, SYNTH], []) == [SYNTH]
    assert patch.kept == (SYNTH, "gone")


def test_a_connection_that_failed_is_tried_again() -> None:
    patch = Patch()
    patch.keep([SYNTH])
    for _ in range(3):
        assert patch.look([SYNTH], []) == [SYNTH]
        patch.missed(SYNTH)


def test_programs_with_a_number_in_their_name_do_not_pile_up() -> None:
    patch = Patch()
    for number in range(1000):
        name = f"synth ({number})"
        patch.look([name], [name])
    assert len(patch.kept) == 64
    assert patch.kept[-1] == "synth (999)"


class Stage:
    """A patchbay over ports in memory."""

    def __init__(self, *, connect_from: tuple[str, ...] = (), connect_to: tuple[str, ...] = ()):
        self.system = MemorySystem(ManualClock())
        self.input, self.output = self.system.open_input("In"), self.system.open_output("Out")
        self.is_alive = True
        self.bay = Patchbay(connect_from, connect_to)
        self.bay.begin(self.input, None, self.output, lambda: self.is_alive)

    def look(self) -> None:
        self.bay.look()
        self.wait(lambda: self.bay._thread is None or not self.bay._thread.is_alive())

    def wait(self, is_so: Callable[[], object]) -> None:
        ends_s = time.monotonic() + 10
        while not is_so():
            assert time.monotonic() < ends_s
            time.sleep(0.001)


def test_a_keyboard_and_a_synthesizer() -> None:
    stage = Stage(connect_from=("keys",), connect_to=("synth", "Out", "In"))
    stage.look()
    stage.system.add_source("My Keys:out")
    stage.system.add_destination("synth:in")
    stage.look()
    assert stage.input.connections() == ("My Keys:out",)
    assert stage.output.connections() == ("synth:in",)  # and not our own input
    stage.look()
    assert stage.bay.kept == (("My Keys:out",), (), ("synth:in",))


def test_connections_are_handed_on() -> None:
    stage = Stage()
    stage.system.add_source("keys:out")
    stage.system.add_destination("synth:in")
    stage.bay.keep(["keys:out"], [], ["synth:in"])
    stage.look()
    assert stage.input.connections() == ("keys:out",)
    assert stage.output.connections() == ("synth:in",)


def test_what_a_system_says_that_has_gone_changes_nothing() -> None:
    stage = Stage()
    stage.system.add_destination("synth:in")
    stage.output.connect("synth:in")
    stage.look()
    stage.output.listeners.clear()
    stage.is_alive = False
    for _ in range(3):
        stage.look()
    assert stage.bay.kept == ((), (), ("synth:in",))


def test_a_system_that_lets_us_wait_keeps_nobody_and_one_that_refuses_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(connect_to=("synth",))
    stage.system.add_destination("synth:in")
    hangs, asked = threading.Event(), []

    def refuse(other: str) -> None:
        asked.append(other)
        hangs.wait(10)
        raise PortError("no cable")

    monkeypatch.setattr(stage.output, "connect", refuse)
    stage.bay.look()
    stage.bay.look()
    assert len(asked) <= 1
    hangs.set()
    stage.wait(lambda: not stage.bay._thread.is_alive())
    stage.look()
    assert asked == ["synth:in"] * 2
    assert [record.message for record in caplog.records] == ["no cable"]


def test_where_nobody_connects_a_port_of_ours_takes_its_place() -> None:
    there = ["synth:in", "organ:in"]
    opened: list[MemoryOutput] = []

    def open_end(name: str) -> MemoryOutput:
        opened.append(MemoryOutput(name, ManualClock()))
        return opened[-1]

    cables: OwnCables[MemoryOutput] = OwnCables(open_end, lambda: tuple(there), ("Out 1",))
    assert cables.connected() == ("Out 1",)
    cables.connect("synth:in")
    cables.connect("organ:in")
    assert cables.connected() == ("Out 1", "synth:in", "organ:in")
    assert list(cables.ends) == opened
    there.remove("synth:in")
    assert cables.connected() == ("Out 1", "organ:in")
    assert not opened[0].closed  # somebody may be sending to it now
    cables.connected()
    assert opened[0].closed
    cables.close()
    assert opened[1].closed
    assert cables.ends == ()
