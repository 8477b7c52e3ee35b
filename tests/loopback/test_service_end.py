"""However a completion or the service is ended, every note that was struck is released."""

from __future__ import annotations

import os
import signal
import time

import pytest
from live_stage import CONTROL, PEDAL, live_stage, note_ons, sounding, wait_for

from benchmarks.rig import JackServer

PEDAL_DOWN, PEDAL_UP = bytes((CONTROL, PEDAL, 127)), bytes((CONTROL, PEDAL, 0))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_mid_note(jack_server: JackServer, number: signal.Signals) -> None:
    with live_stage(jack_server, generation__thru=1) as stage:
        stage.send(PEDAL_DOWN)
        stage.start_note()
        heard = stage.probe.heard()
        assert sounding(heard) == {(0, 60)}
        assert stage.service.end(number) == 0
        heard += stage.probe.heard()
        assert sounding(heard) == set()
        assert [m for _, m in heard if m[:2] == PEDAL_DOWN[:2]][-1] == PEDAL_UP
        assert list(stage.service.data_dir.glob("destinations*")) == []


def test_a_signal_to_all_processes_at_once_as_terminals_and_service_managers_send_it(
    jack_server: JackServer,
) -> None:
    with live_stage(jack_server) as stage:
        stage.start_note()
        heard = stage.probe.heard()
        for pid in stage.service.pids().values():
            os.kill(pid, signal.SIGTERM)
        assert stage.service.process.wait(20) == 0
        heard += stage.probe.heard()
        assert sounding(heard) == set()


def test_a_request_in_mid_note(jack_server: JackServer) -> None:
    with live_stage(jack_server) as stage:
        for address in ("/rwkv/stop", "/rwkv/panic", "/rwkv/toggle", "/rwkv/reset"):
            request = stage.start_note()
            heard = stage.probe.heard()
            assert sounding(heard) == {(0, 60)}
            stage.osc.request(address)
            stage.events.wait_for("/rwkv/done", lambda m, r=request: m.args[0] == r)
            time.sleep(0.05)
            heard += stage.probe.heard()
            assert sounding(heard) == set(), address
            assert len(note_ons(heard)) == 1
            panicked = [m for _, m in heard if m[0] & 0xF0 == CONTROL and m[1] in (64, 120, 123)]
            assert len(panicked) == (48 if address == "/rwkv/panic" else 0)
        assert stage.start_note() == request + 1


def test_the_daws_stop_in_mid_note(jack_server: JackServer) -> None:
    with live_stage(jack_server, transport__source="midi_clock") as stage:
        now_ns = time.monotonic_ns() + 50_000_000
        ticks = [(now_ns + k * 41_666_667, b"\xf8") for k in range(24 * 30)]
        stage.probe.play([(now_ns - 1_000_000, b"\xfa"), *ticks])
        stage.events.wait_for("/rwkv/state", lambda m: m.args == ("listening",))
        stage.start_note()
        stage.probe.play([(0, b"\xfc")])
        stage.events.wait_for("/rwkv/state", lambda m: m.args == ("idle",))
        time.sleep(0.05)
        heard = stage.probe.heard()
        assert len(note_ons(heard)) == 1
        assert sounding(heard) == set()


def test_the_end_of_a_service_that_nobody_listens_to(jack_server: JackServer) -> None:
    with live_stage(jack_server) as stage:
        assert stage.service.ready_line().startswith("ready jack: RWKV Music In, RWKV Music Out")
        assert stage.service.ready_line().endswith(
            f"OSC {stage.service.osc_port}; model scripted (beats)"
        )
        pids = stage.service.pids()
        assert set(pids) == {"supervisor", "io", "worker"}
        assert stage.service.end() == 0
        wait_for(lambda: not any(map(is_alive, pids.values())), "a process stayed behind")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
