"""Messages that are commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.midi_map import COMMANDS, MidiMap, MidiTrigger
from rwkv_music_daemon.osc.framing import Message
from rwkv_music_daemon.osc.table import match

from rwkv_music.errors import ConfigError

TRIGGERS = st.builds(
    MidiTrigger, st.sampled_from(["note", "cc", "program"]), st.integers(0, 127), st.integers(0, 16)
)


@given(TRIGGERS)
def test_text_and_back(trigger: MidiTrigger) -> None:
    assert MidiTrigger.parse(str(trigger)) == trigger


@pytest.mark.parametrize(
    "text", ["", "cc", "cc 128", "cc 64 ch 0", "cc 64 ch 17", "key 3", "cc -1"]
)
def test_another_text_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError):
        MidiTrigger.parse(text)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_request(command: str) -> None:
    address, args = COMMANDS[command]
    assert match(Message(address, args)) is not None


def test_a_key_fires_when_struck_and_its_release_is_consumed() -> None:
    midi = MidiMap({"stop": MidiTrigger.parse("note 36 ch 2")})
    assert midi.feed(b"\x91\x24\x40") == (True, "stop")
    assert midi.feed(b"\x91\x24\x00") == (True, None)
    assert midi.feed(b"\x81\x24\x40") == (True, None)
    assert midi.feed(b"\x90\x24\x40") == (False, None)
    assert midi.feed(b"\x91\x25\x40") == (False, None)


def test_a_continuous_pedal_fires_once_for_each_press() -> None:
    midi = MidiMap({"trigger": MidiTrigger.parse("cc 64")})
    fired = [midi.feed(bytes((0xB0, 64, v)))[1] for v in (10, 63, 64, 90, 127, 70, 20, 0, 127)]
    assert fired == [None, None, "trigger", None, None, None, None, None, "trigger"]


def test_a_button_without_a_release_fires_each_time() -> None:
    midi = MidiMap({"trigger": MidiTrigger.parse("cc 20 ch 1")})
    assert [midi.feed(b"\xb0\x14\x7f") for _ in range(3)] == [(True, "trigger")] * 3


def test_a_program_change_fires_each_time() -> None:
    midi = MidiMap({"panic": MidiTrigger.parse("program 5")})
    assert [midi.feed(b"\xc3\x05")[1] for _ in range(2)] == ["panic", "panic"]
    assert midi.feed(b"\xc3\x06") == (False, None)


def test_what_is_pressed_can_be_learned_and_is_then_of_one_command_only() -> None:
    midi = MidiMap({"stop": MidiTrigger.parse("cc 20")})
    trigger = MidiTrigger.learned(b"\xb4\x14\x7f")
    assert trigger == MidiTrigger("cc", 20, 5)
    midi.bind("undo", trigger)
    assert midi.triggers == {"undo": trigger}
    assert midi.feed(b"\xb4\x14\x7f") == (True, "undo")


@pytest.mark.parametrize(
    "message", [b"\x80\x24\x40", b"\x90\x24\x00", b"\xb0\x14\x00", b"\xf8", b""]
)
def test_a_release_or_another_message_is_not_learned(message: bytes) -> None:
    assert MidiTrigger.learned(message) is None


@given(st.binary(max_size=4))
def test_any_bytes_can_be_fed(message: bytes) -> None:
    MidiMap({"stop": MidiTrigger("note", 0), "undo": MidiTrigger("program", 0)}).feed(message)
