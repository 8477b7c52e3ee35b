"""The fake MIDI system keeps the contract that it stands in for."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.ports.base import InputPort, MidiSystem, OutputPort
from rwkv_music_daemon.ports.memory import MemorySystem

from rwkv_music.errors import PortError

NOTE = b"\x90\x3c\x40"


def test_it_fits_the_contracts() -> None:
    system: MidiSystem = MemorySystem(ManualClock())
    source: InputPort = system.open_input("In")
    target: OutputPort = system.open_output("Out")
    assert (source.name, target.name, system.api) == ("In", "Out", "memory")
    assert system.alive()


def test_a_message_arrives_at_its_time() -> None:
    clock = ManualClock()
    port = MemorySystem(clock).open_input("In")
    port.push(NOTE)
    port.push(b"\xf8", 20)
    port.push(b"\xfc", 30)
    assert port.poll() == [(0, NOTE)]
    clock.advance_to_ns(25)
    assert port.poll() == [(20, b"\xf8")]
    assert port.poll() == []


def test_what_was_sent_is_kept_with_its_time() -> None:
    clock = ManualClock()
    port = MemorySystem(clock).open_output("Out")
    port.send(NOTE)
    clock.advance_to_ns(7)
    port.send(b"\x80\x3c\x00")
    assert port.sent == [(0, NOTE), (7, b"\x80\x3c\x00")]


def test_a_port_is_the_same_by_name_until_it_is_closed() -> None:
    system = MemorySystem(ManualClock())
    first = system.open_input("In")
    assert system.open_input("In") is first
    first.close()
    assert system.open_input("In") is not first


def test_connections() -> None:
    system = MemorySystem(ManualClock())
    system.add_destination("synth:in")
    port = system.open_output("Out")
    system.connect("Out", "synth:in")
    system.connect("Out", "synth:in")
    assert port.connections() == ("synth:in",)
    for source, destination in (("Out", "gone"), ("gone", "synth:in")):
        with pytest.raises(PortError, match="gone"):
            system.connect(source, destination)


def test_existing_ports_of_others() -> None:
    system = MemorySystem(ManualClock())
    system.add_source("keys:out").push(NOTE)
    assert system.open_input_from("keys:out").poll() == [(0, NOTE)]
    system.open_output_to(system.add_destination("synth:in").name).send(NOTE)
    assert system.destinations["synth:in"].sent == [(0, NOTE)]
    assert "keys:out" in system.inputs()
    assert "synth:in" in system.outputs()
    with pytest.raises(PortError, match="keys"):
        system.open_input_from("drums:out")
    with pytest.raises(PortError, match="synth"):
        system.open_output_to("organ:in")
