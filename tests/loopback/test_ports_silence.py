"""After a crash in mid-chord, with the pedal down, a real synthesizer falls silent."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from real_programs import need_program
from rwkv_music_daemon.clock import SystemClock
from rwkv_music_daemon.messages import Connections
from rwkv_music_daemon.ports.rtmidi import RtMidiSystem
from rwkv_music_daemon.rescue import Rescue
from rwkv_music_daemon.silence import panic_messages

from benchmarks.rig import JackServer, Synthesizer

# It strikes again and again: a busy machine's JACK loses notes.
PLAYER = """
import sys, time
from rwkv_music_daemon.clock import SystemClock
from rwkv_music_daemon.ports.rtmidi import RtMidiSystem

system = RtMidiSystem("jack", SystemClock())
port = system.open_output("Out")
system.connect(port.full_name, sys.argv[1])
print("|".join(port.connections()), flush=True)
while True:
    port.send(bytes((0xB0, 64, 127)))
    for pitch in (48, 60, 64, 67):
        port.send(bytes((0x90, pitch, 100)))
    time.sleep(0.5)
"""


@pytest.fixture
def jack_server() -> Iterator[JackServer]:
    """A fresh one that does not wait for the dead: a synchronous one does, for five seconds."""
    need_program("jackd", "jackd2")
    with JackServer(period=256, synchronous=False) as server:
        yield server


def silent(synthesizer: Synthesizer, within_s: float = 5.0) -> bool:
    """Whether it falls silent."""
    ends_s = time.monotonic() + within_s
    while synthesizer.voices() > 0:
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
    ends_s = time.monotonic() + 20
    while synthesizer.voices() < 4 and time.monotonic() < ends_s:
        time.sleep(0.02)
    player.kill()
    player.wait()
    assert not silent(synthesizer, within_s=0.5)  # or else nothing would be shown here
    return connected


def test_a_killed_player_is_silenced(jack_server: JackServer, synthesizer: Synthesizer) -> None:
    connected = crashed_player(jack_server, synthesizer)
    rescue = Rescue()
    rescue.silence(Connections("jack", (connected,)))
    assert silent(synthesizer)
    rescue.end()


def test_all_notes_off_alone_would_not_do(
    jack_server: JackServer, synthesizer: Synthesizer
) -> None:
    """Why the sequence is as it is."""
    connected = crashed_player(jack_server, synthesizer)
    system = RtMidiSystem("jack", SystemClock())
    port = system.open_output_to(connected)
    port.send(b"\xb0\x7b\x00")
    assert not silent(synthesizer, within_s=0.5)
    for message in panic_messages(channels=[0]):
        port.send(message)
    port.close()
    assert silent(synthesizer)
    system.close()
