"""A real JACK server that goes, and comes back."""

from __future__ import annotations

import pytest
from line_program import line_program
from real_programs import need_program

from benchmarks.rig import JackServer

LOSS = """
import time
from rwkv_music.errors import PortError
from rwkv_music_daemon.clock import SystemClock
import sys
from rwkv_music_daemon.ports.jack_system import JackSystem
from rwkv_music_daemon.ports.rtmidi import RtMidiSystem

def opened():
    return JackSystem() if sys.argv[1] == "our client" else RtMidiSystem("jack", SystemClock())

system = opened()
source, target = system.open_input("In"), system.open_output("Out")
print(system.alive(), flush=True)
input()
ends_s = time.monotonic() + 5
while system.alive() and time.monotonic() < ends_s:
    time.sleep(0.05)
print(system.alive())
for _ in range(20_000):  # more than the driver can hold
    target.send(bytes((0x90, 60, 64)))
assert target.failures > 0
assert source.poll() == []
print(target.connections(), system.inputs())
source.close()
target.close()
if sys.argv[1] == "our client":
    assert system._client.close() is False
system.close()
try:
    opened()
except PortError as error:
    print(error, flush=True)
input()
again = opened()
port = again.open_output("Out")
print(port.full_name in again.inputs(), flush=True)
port.close()
again.close()
"""


@pytest.mark.parametrize("through", ["our client", "python-rtmidi"])
def test_a_server_that_dies_is_noticed_and_its_successor_is_used(through: str) -> None:
    need_program("jackd", "jackd2")
    # In a process of its own: libjack answers some mistakes with a segmentation fault.
    with JackServer(period=64) as server, line_program(LOSS, through, env=server.env) as program:
        assert program.says() == "True"
        server.kill()
        program.tell()
        assert program.says() == "False"
        assert program.says() == "() ()"
        assert "JACK server" in program.says()
        server.start()
        program.tell()
        assert program.says() == "True"
        assert program.end() == 0
