"""The service on PipeWire, which takes JACK's place on most desktops: the real one, without a sound
card and without a session."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from line_program import line_program
from real_programs import need_program
from rwkv_music_daemon.osc.client import OscClient

from benchmarks.events import Events
from benchmarks.rig import Service
from benchmarks.rig.children import end_with_parent
from benchmarks.rig.service import COMMAND

START_S, WITHIN_S = 10.0, 20.0  # patience, not limits that are asserted


@pytest.fixture
def pipewire(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """What leads a program to it."""
    need_program("pipewire", "pipewire")
    need_program("pw-jack", "pipewire-jack")
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    server = subprocess.Popen(
        ["pipewire"], env=env, stderr=subprocess.DEVNULL, preexec_fn=end_with_parent
    )
    ends_s = time.monotonic() + START_S
    while not (tmp_path / "pipewire-0").exists() and time.monotonic() < ends_s:
        time.sleep(0.02)
    # What pw-jack does: its libjack is found before any other.
    shown = subprocess.run(
        ["pw-jack", "-p", "64", "env"], env=env, capture_output=True, text=True, check=True
    ).stdout
    yield dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    server.terminate()
    server.wait(5)


CABLE = """
import time
from rwkv_music_daemon.ports.jack_system import JackSystem

system = JackSystem()
source, target = system.open_input("In"), system.open_output("Out")
target.connect(source.full_name)
ends_s = time.monotonic() + 5
while not target.connections() and time.monotonic() < ends_s:
    time.sleep(0.01)
assert target.connections() == (source.full_name,), target.connections()
errors_ns = []
for k in range(50):
    at_ns = time.monotonic_ns() + 40_000_000
    target.send(bytes((0x90, k, 64)), at_ns)
    arrived = []
    while not arrived and time.monotonic_ns() < at_ns + 2_000_000_000:
        time.sleep(0.002)
        arrived = source.poll()
    (t_ns, message), = arrived
    assert message == bytes((0x90, k, 64))
    errors_ns.append(abs(t_ns - at_ns))
print(sorted(errors_ns)[25], target.latency_ns)
target.close()
source.close()
system.close()
"""


def test_notes_leave_and_arrive_with_their_frames(pipewire: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CABLE], env=pipewire, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    error_ns, period_ns = map(int, done.stdout.split())
    # Round trips of half a period would be seen; whole ones are the graph's.
    assert error_ns % period_ns < period_ns / 4 or error_ns % period_ns > 3 * period_ns / 4


RATES = """
import sys, time
from rwkv_music_daemon.ports.jack_system import JackSystem

def comes_to(rate, ends_s):
    frames = port.latency_ns * rate / 1e9  # of a period: whole at the true rate alone
    while abs(frames - round(frames)) > 0.01 and time.monotonic() < ends_s:
        time.sleep(0.01)
        frames = port.latency_ns * rate / 1e9
    return round(frames, 3)

system = JackSystem()
port = system.open_output("Out")
for line in sys.stdin:
    print(comes_to(int(line), time.monotonic() + 10), flush=True)
port.close()
system.close()
"""


def test_a_rate_that_changes_is_followed(pipewire: Mapping[str, str]) -> None:
    with line_program(RATES, env=pipewire) as client:
        for rate in (48_000, 44_100, 48_000):
            settings = ["pw-metadata", "-n", "settings", "0", "clock.force-rate", str(rate)]
            subprocess.run(settings, env=pipewire, stdout=subprocess.DEVNULL, check=True)
            client.tell(rate)
            assert float(client.says()).is_integer()
        assert client.end() == 0


def test_the_service_plays(pipewire: Mapping[str, str]) -> None:
    with Service(pipewire) as service, Events(service.osc_port) as events:
        assert "jack: RWKV Music In" in service.ready_line()
        with OscClient(port=service.osc_port) as osc:
            osc.request("/rwkv/trigger")
        events.wait_for("/rwkv/note/played", timeout_s=WITHIN_S)
        listed = subprocess.run([*COMMAND, "ports"], env=pipewire, capture_output=True, text=True)
        assert "RWKV Music:RWKV Music Out" in listed.stdout
        events.wait_for("/rwkv/done", timeout_s=WITHIN_S)
