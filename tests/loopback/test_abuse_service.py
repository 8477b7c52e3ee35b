"""`make abuse`: what no user does, for a long time. Left out of the ordinary run of the tests."""

from __future__ import annotations

import os
import random
import signal
import struct
import time

import pytest
from live_stage import Stage, live_stage, note_ons, sounding, wait_for
from rwkv_music_daemon.osc.encoding import encode_any
from rwkv_music_daemon.osc.requests import REQUESTS

from benchmarks.rig import JackServer

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(3600)]

MUTATIONS = int(os.environ.get("RWKV_MUSIC_ABUSE", "1000000"))
BATCH = 64  # datagrams between two pings: less than the socket holds
VALUES = {"i": (-1, 0, 1, 4, 64, 2**31 - 1), "f": (0.0, 0.5, 120.0, -3.0, 1e30), "s": ("", "x")}


def seeds() -> list[bytes]:
    """Right requests of every kind, to be damaged."""
    rng = random.Random(0)
    packets = []
    for address, spec in REQUESTS.items():
        for _ in range(4):
            args = [rng.choice(VALUES.get(arg.type, (1,))) for arg in spec.args]
            packets.append(encode_any(address, *args[: rng.randint(0, len(args))]))
    for name in ("bars", "temperature", "key", "quantize", "thru", "nudge_ms", "overlap"):
        packets += [encode_any(f"/rwkv/set/{name}", value) for value in (0, 1, 0.5, "bar", "C")]
    return packets


def mutated(rng: random.Random, packets: list[bytes]) -> bytes:
    data = bytearray(rng.choice(packets))
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes((rng.choice((0, 0x2C, 0x2F, 0x7F, 0x80, 0xFF)),))
            case 1:
                data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))
            case 2:
                del data[at : at + rng.choice((1, 2, 4, 8))]
            case 3:
                number = struct.pack(">i", rng.choice((-4, -1, 0, 4, 2**31 - 1)))
                data[at & ~3 : (at & ~3) + 4] = number
            case 4:
                element = bytes(data)
                size = struct.pack(">i", len(element) + rng.choice((0, 0, 0, 4, -4)))
                data = bytearray(b"#bundle\0" + struct.pack(">Q", 1) + size + element)
            case 5:
                data = data[:at] if rng.random() < 0.5 else data + data
    return bytes(data[:9000])


def test_a_million_mutated_packets(jack_server: JackServer) -> None:
    rng, packets = random.Random(1), seeds()
    with live_stage(jack_server) as stage:
        pids = stage.service.pids()
        for number in range(0, MUTATIONS, BATCH):
            for _ in range(BATCH):
                stage.osc.send_datagram(mutated(rng, packets))
            stage.osc.send("/rwkv/ping", f"after {number}")
            wait_for(lambda number=number: is_answered(stage, f"after {number}"), "no pong came")
        assert stage.service.pids() == pids  # nobody was started again
        assert "Traceback" not in stage.service.said()
        stage.osc.request("/rwkv/panic")
        stage.osc.request("/rwkv/transport/stop")
        time.sleep(0.5)
        assert sounding(stage.probe.heard()) == set()
        assert stage.service.end() == 0


def is_answered(stage: Stage, token: str) -> bool:
    message = stage.osc.receive(1.0)
    while message is not None:
        if message.address == "/rwkv/pong" and message.args[:1] == (token,):
            return True
        message = stage.osc.receive(0.5)
    stage.osc.send("/rwkv/ping", token)  # the packet itself may have been lost
    return False


def test_workers_killed_and_stopped_again_and_again(jack_server: JackServer) -> None:
    heard: list[tuple[int, bytes]] = []
    with live_stage(jack_server, model__path="steps") as stage:
        io = stage.service.pid("io")
        for number in (signal.SIGKILL, signal.SIGSTOP) * 3:
            stage.start_note()
            stage.events.forget()
            stage.service.kill("worker", number)
            stage.events.wait_for("/rwkv/worker", lambda m: m.args == ("up",), 60)
            time.sleep(0.1)
            heard += stage.probe.heard()
            assert sounding(heard) == set()
        assert len(note_ons(heard)) >= 6
        assert stage.service.pid("io") == io


def test_a_storm_of_midi(jack_server: JackServer) -> None:
    """Chords, controllers, clock and triggers as fast as they go, everything passed through."""
    rng = random.Random(2)
    settings = {"generation.thru": 1, "midi.triggers": "{toggle: cc 80, panic: cc 81}"}
    with live_stage(jack_server, **settings) as stage:
        io = stage.service.pid("io")
        for _ in range(30):
            now_ns = time.monotonic_ns()
            stage.probe.play((now_ns + k * 200_000, random_message(rng)) for k in range(1000))
            stage.probe.wait()
            stage.wait_until_answers()
        stage.osc.request("/rwkv/panic")
        time.sleep(0.5)
        assert sounding(stage.probe.heard()) == set()
        assert stage.service.pid("io") == io
        assert "Traceback" not in stage.service.said()


def random_message(rng: random.Random) -> bytes:
    kind = rng.choice((0x80, 0x90, 0x90, 0xA0, 0xB0, 0xC0, 0xE0, 0xF8, 0xFA, 0xFB, 0xFC, 0xF2))
    if kind >= 0xF8:
        return bytes((kind,))
    status = kind if kind == 0xF2 else kind | rng.randrange(16)
    data = [rng.randrange(128) for _ in range(1 if kind == 0xC0 else 2)]
    if kind == 0xB0 and rng.random() < 0.3:
        data[0] = rng.choice((64, 80, 81))
    return bytes((status, *data))
