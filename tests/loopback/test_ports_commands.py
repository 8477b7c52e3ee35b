"""ports, doctor and calibrate on a real JACK server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.rig import JackServer, Probe

ECHO = """
import select, sys, time
import rtmidi

source = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name="Echo Ear")
target = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="Echo Mouth")
source.open_virtual_port("in")
target.open_virtual_port("out")
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    found = source.get_message()
    if found:
        target.send_message(found[0])
    time.sleep(0.0002)
target.delete()
source.delete()
"""


@pytest.fixture
def echo(jack_server: JackServer) -> Iterator[None]:
    """A cable: what is played to `Echo Ear:in` comes out of `Echo Mouth:out`."""
    process = subprocess.Popen(
        [sys.executable, "-c", ECHO],
        env=jack_server.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    yield
    process.communicate()  # it ends with its input


def run(server: JackServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    main = "from rwkv_music_daemon.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", main, *arguments],
        env={**server.env, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_ports_lists_what_there_is(jack_server: JackServer, probe: Probe) -> None:
    done = run(jack_server, "ports")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    heard, played = lines.index("can be heard:"), lines.index("can be played:")
    assert heard < lines.index(probe.player) < played < lines.index(probe.listener)
    if not os.path.exists("/dev/snd/seq"):
        assert lines[0] == "jack (what midi.api: auto takes)"


def test_ports_says_when_there_is_nothing() -> None:
    env = {**os.environ, "JACK_DEFAULT_SERVER": "nobody", "JACK_NO_START_SERVER": "1"}
    if os.path.exists("/dev/snd/seq"):
        pytest.skip("this machine has an ALSA sequencer")
    main = "from rwkv_music_daemon.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", main, "ports", "--all"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "no JACK server answers" in done.stdout
    assert "start a JACK server" in done.stdout
    assert "doctor" in done.stderr


def test_doctor_finds_everything(jack_server: JackServer) -> None:
    done = run(jack_server, "doctor", "--set", "midi.api=jack", "--set", "osc.port=0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "virtual MIDI ports can be made (jack)" in done.stdout
    assert "ok      MIDI system jack" in done.stdout
    assert "missing" not in done.stdout


def test_calibrate_measures_a_cable(jack_server: JackServer, echo: None) -> None:
    ports = ("--output", "Echo Ear:in", "--input", "Echo Mouth")
    done = run(jack_server, "calibrate", *ports, "--notes", "40", "--api", "jack")
    assert done.returncode == 0, done.stderr
    sent, lost, median_ms, *_ = done.stdout.splitlines()[1].split()
    assert (sent, lost) == ("40", "0")
    # Two ways over JACK at a period of 1.33 ms; what it is exactly is not this test's matter.
    assert 0 < float(median_ms) < 100
    nudge_ms = float(done.stdout.split("nudge_ms:")[1].split()[0])
    assert nudge_ms == pytest.approx(-float(median_ms), abs=0.06)


def test_calibrate_says_when_nothing_comes_back(jack_server: JackServer, probe: Probe) -> None:
    ports = ("--output", probe.listener, "--input", probe.player)
    done = run(jack_server, "calibrate", *ports, "--notes", "10", "--api", "jack")
    assert done.returncode == 3
    assert "came back" in done.stderr


def test_calibrate_wants_a_port_that_exists(jack_server: JackServer, probe: Probe) -> None:
    ports = ("--output", "nobody", "--input", probe.player)
    done = run(jack_server, "calibrate", *ports, "--api", "jack")
    assert done.returncode == 3
    assert "'nobody' is not there" in done.stderr
    assert probe.listener in done.stderr
