"""What comes in from outside: wrong packets and messages change nothing, right ones are obeyed."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator

import jack
import pytest
from live_stage import Stage, live_stage, wait_for
from pythonosc.osc_message_builder import build_msg

from benchmarks.rig import JackServer


def oversized() -> bytes:
    return build_msg("/rwkv/trigger", ["x" * 9000]).dgram


HOSTILE = {
    "a bundle with a negative size": b"#bundle\0" + struct.pack(">Qi", 1, -4),
    "bad UTF-8": b"/rwkv/set/\xff\xfe\0\0\0,f\0\0" + struct.pack(">f", 1.0),
    "bad UTF-8 in an argument": b"/rwkv/learn\0,s\0\0\xc3(\0\0",
    "9,000 bytes": oversized(),
    "nothing": b"",
    "noise": bytes(range(256)),
    "an unknown address": build_msg("/rwkv/tirgger", []).dgram,
    "a wrong type": build_msg("/rwkv/trigger", ["two"]).dgram,
    "a value out of range": build_msg("/rwkv/set/bars", [1000]).dgram,
    "not a number": build_msg("/rwkv/set/temperature", [float("nan")]).dgram,
    "a bundle in the future": b"#bundle\0"
    + struct.pack(">Qi", (2**32 - 1) << 32, 16)
    + b"/rwkv/panic\0,\0\0\0",
}


@pytest.fixture(scope="module")
def stage(jack_server: JackServer) -> Iterator[Stage]:
    with live_stage(jack_server) as stage:
        yield stage


def condition(stage: Stage) -> list[tuple[object, ...]]:
    """All that a packet could have changed."""
    described = [
        m.args for m in stage.osc.request("/rwkv/params") if m.address.endswith("describe")
    ]
    return [*described, stage.osc.request("/rwkv/status")[-1].args]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_wrong_packet_is_answered_and_changes_nothing(stage: Stage, name: str) -> None:
    before = condition(stage)
    stage.osc.send_datagram(HOSTILE[name])
    answer = stage.osc.receive()
    assert answer is not None
    assert answer.address == "/rwkv/error"
    assert 400 <= int(answer.args[0]) < 500
    assert condition(stage) == before
    stage.wait_until_answers()


def test_damaged_midi_changes_nothing(stage: Stage) -> None:
    before = condition(stage)
    damaged = [
        b"\x90",
        b"\x90\x3c",
        b"\xf2\x10",
        b"\x3c\x40",
        b"\xb0",
        b"\x90\x3c\xff",
    ]
    heard = stage.osc.request("/rwkv/history")
    send_raw(stage.server.wait_for_port("RWKV Music In"), damaged)
    time.sleep(0.2)
    stage.wait_until_answers()
    assert condition(stage) == before
    assert stage.osc.request("/rwkv/history") == heard


def send_raw(destination: str, messages: list[bytes]) -> None:
    """Put bytes into JACK as they are: python-rtmidi would refuse them."""
    client = jack.Client("vandal")
    port = client.midi_outports.register("out")
    waiting = list(messages)

    @client.set_process_callback
    def process(frames: int) -> None:
        port.clear_buffer()
        if waiting:
            port.write_midi_event(0, waiting.pop(0))

    with client:
        client.connect(port, destination)
        wait_for(lambda: not waiting, "not sent")
        time.sleep(0.05)


def test_what_is_played_is_heard(stage: Stage) -> None:
    stage.osc.request("/rwkv/reset")
    stage.events.forget()
    notes = [(57, 90), (64, 30), (69, 127)]
    stage.send(*(bytes((0x92, p, v)) for p, v in notes), *(bytes((0x82, p, 0)) for p, _ in notes))
    for pitch, velocity in notes:
        heard = stage.events.wait_for("/rwkv/note/heard", lambda m, p=pitch: m.args[1] == p)[1]
        assert heard.args[2] == velocity
    history = stage.osc.request("/rwkv/history")[:-1]
    assert sorted((m.args[1], m.args[2], m.args[4]) for m in history) == [
        (pitch, velocity, "player") for pitch, velocity in notes
    ]
