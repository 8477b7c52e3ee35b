"""After a crash in mid-chord, with the pedal down, a real synthesizer falls silent."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from real_programs import need_program
from rwkv_music_daemon.clock import SystemClock
from rwkv_music_daemon.ports.rtmidi import RtMidiSystem
from rwkv_music_daemon.silence import panic_messages, silence

from benchmarks.rig import JackServer, Synthesizer

PLAYER = """
import sys, time
from rwkv_music_daemon.clock import SystemClock
from rwkv_music_daemon.ports.rtmidi import RtMidiSystem

system = RtMidiSystem("jack", SystemClock())
port = system.open_output("Out")
system.connect(port.full_name, sys.argv[1])
port.send(bytes((0xB0, 64, 127)))
for pitch in (48, 60, 64, 67):
    port.send(bytes((0x90, pitch, 100)))
print("|".join(port.connections()), flush=True)
time.sleep(60)
"""


@pytest.fixture
def jack_server() -> Iterator[JackServer]:
    """A fresh one that does not wait for the dead: a synchronous one does, for five seconds."""
    need_program("jackd", "jackd2")
    with JackServer(period=256, synchronous=False) as server:
        yield server


def voices_become(synthesizer: Synthesizer, wanted: int, within_s: float = 5.0) -> bool:
    ends_s = time.monotonic() + within_s
    while synthesizer.voices() != wanted:
        if time.monotonic() > ends_s:
            return False
        time.sleep(0.02)
    return True


def crashed_player(server: JackServer, synthesizer: Synthesizer) -> str:
    """Play a chord from a process, kill it, and say what it was connected to."""
    player = subprocess.Popen(
        [sys.executable, "-c", PLAYER, synthesizer.port],
        env=server.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert player.stdout
    connected = player.stdout.readline().strip()
    assert voices_become(synthesizer, 4)
    player.kill()
    player.wait()
    return connected


def test_a_killed_player_is_silenced(jack_server: JackServer, synthesizer: Synthesizer) -> None:
    connected = crashed_player(jack_server, synthesizer)
    assert connected == synthesizer.port
    time.sleep(0.5)
    assert synthesizer.voices() == 4  # or else this test would show nothing
    assert silence("jack", [connected], [(0, p) for p in (48, 60, 64, 67)]) == ()
    assert voices_become(synthesizer, 0)


def test_a_killed_player_is_silenced_though_nobody_knows_its_notes(
    jack_server: JackServer, synthesizer: Synthesizer
) -> None:
    connected = crashed_player(jack_server, synthesizer)
    assert silence("jack", [connected]) == ()
    assert voices_become(synthesizer, 0)


def test_all_notes_off_alone_would_not_do(
    jack_server: JackServer, synthesizer: Synthesizer
) -> None:
    """Why the sequence is as it is."""
    connected = crashed_player(jack_server, synthesizer)
    system = RtMidiSystem("jack", SystemClock())
    port = system.open_output_to(connected)
    port.send(b"\xb0\x7b\x00")
    time.sleep(0.5)
    assert synthesizer.voices() == 4
    for message in panic_messages(channels=[0]):
        port.send(message)
    port.close()
    assert voices_become(synthesizer, 0)
    system.close()
