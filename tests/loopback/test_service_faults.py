"""Processes that die or hang: silence first, then music again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from live_stage import (
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    PEDAL,
    WITHIN_S,
    Stage,
    live_stage,
    note_ons,
    sounding,
    wait_for,
)
from real_programs import need_program

from benchmarks.rig import JackServer, Service, Synthesizer

CHORD = [bytes((NOTE_ON, pitch, 100)) for pitch in (48, 60, 64, 67)]


@pytest.fixture
def jack_server() -> Iterator[JackServer]:
    """A fresh one that does not wait for the dead: a synchronous one does, for five seconds."""
    need_program("jackd", "jackd2")
    with JackServer(period=256, synchronous=False) as server:
        yield server


def hold_chord(stage: Stage, synthesizer: Synthesizer) -> None:
    """A chord on the synthesizer, by way of the service, with the pedal down."""
    stage.server.connect(stage.server.wait_for_port("RWKV Music Out"), synthesizer.port)
    wait_for(lambda: recorded(stage) == [synthesizer.port], "the destination is not recorded")
    releases = [bytes((NOTE_OFF, message[1], 0)) for message in CHORD]

    def sounds() -> bool:
        """An asynchronous server may lose messages on a busy machine: strike until all sound."""
        stage.send(bytes((CONTROL, PEDAL, 127)), *CHORD, *releases)
        return synthesizer.voices() >= len(CHORD)

    try:
        wait_for(sounds, "the chord does not sound")
    except AssertionError as error:
        # Without a chord nothing can be said of its end, which is what these tests are about.
        pytest.xfail(f"{error}: this JACK server loses messages on a busy machine")


def recorded(stage: Stage) -> list[str]:
    """The destinations that the next start would silence, without the probe's."""
    for path in stage.service.data_dir.glob("destinations*.json"):
        names = json.loads(path.read_text(encoding="utf-8"))["destinations"]
        return [name for name in names if name != stage.probe.listener]
    return []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_dies_or_hangs_in_mid_phrase(
    jack_server: JackServer, number: signal.Signals
) -> None:
    with live_stage(jack_server) as stage:
        stage.start_note()
        history = stage.osc.request("/rwkv/history")
        stage.events.forget()
        hurt = stage.service.kill("worker", number)
        stage.events.wait_for("/rwkv/worker", lambda m: m.args == ("down",), WITHIN_S)
        time.sleep(0.1)
        heard = stage.probe.heard()
        assert sounding(heard) == set()
        stage.events.wait_for("/rwkv/worker", lambda m: m.args == ("restarting",), WITHIN_S)
        stage.events.wait_for("/rwkv/worker", lambda m: m.args == ("up",), WITHIN_S)
        told = [message.args[0] for _, message in stage.events.of("/rwkv/worker")]
        assert told == ["down", "restarting", "up"]
        assert stage.service.pid("worker") not in (hurt, None)
        # What was heard is remembered, and the music goes on.
        remembered = stage.osc.request("/rwkv/history")
        assert [m.args[:3] for m in remembered[:1]] == [m.args[:3] for m in history[:1]]
        stage.start_note()
        assert note_ons(stage.probe.heard()) == [60]


def test_no_trigger_is_accepted_while_there_is_no_model(jack_server: JackServer) -> None:
    with live_stage(jack_server) as stage:
        stage.service.kill("worker")
        stage.events.wait_for("/rwkv/worker", lambda m: m.args == ("down",), WITHIN_S)
        stage.osc.send("/rwkv/trigger")
        answer = stage.osc.receive()
        assert answer is not None
        assert (answer.address, answer.args[0], answer.args[2]) == (
            "/rwkv/error",
            503,
            "/rwkv/trigger",
        )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_io_dies_or_hangs_in_mid_chord_with_the_pedal_down(
    jack_server: JackServer,
    synthesizer: Synthesizer,
    number: signal.Signals,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    with live_stage(jack_server, generation__thru=1) as stage:
        hold_chord(stage, synthesizer)
        hurt = stage.service.kill("io", number)
        silent_s = wait_for(lambda: synthesizer.voices() == 0, "it still sounds")
        record_testsuite_property(f"seconds to silence, io {number.name}", round(silent_s, 3))
        wait_for(lambda: stage.service.pid("io") not in (hurt, None), "no new io process came")
        stage.wait_until_answers()
        stage.wait_for_connections()
        wait_for(lambda: has_worker(stage), "the worker did not come back")
        stage.probe.heard()
        stage.osc.request("/rwkv/trigger")
        time.sleep(0.5)
        assert note_ons(stage.probe.heard()) == [60]


def has_worker(stage: Stage) -> bool:
    return stage.osc.request("/rwkv/status")[-1].args[-1] != ""


def test_the_supervisor_dies_in_mid_chord(
    jack_server: JackServer,
    synthesizer: Synthesizer,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    with live_stage(jack_server, generation__thru=1) as stage:
        hold_chord(stage, synthesizer)
        pids = stage.service.pids()
        stage.service.kill("supervisor")
        silent_s = wait_for(lambda: synthesizer.voices() == 0, "it still sounds")
        record_testsuite_property("seconds to silence, supervisor", round(silent_s, 3))
        stage.service.process.wait()
        for role in ("io", "worker"):
            wait_for(lambda pid=pids[role]: not is_alive(pid), f"{role} did not end")


def test_everything_is_killed_at_once_and_the_next_start_silences(
    jack_server: JackServer, synthesizer: Synthesizer
) -> None:
    with live_stage(jack_server, generation__thru=1) as stage:
        hold_chord(stage, synthesizer)
        pids = stage.service.pids().values()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none ends by itself meanwhile
            for pid in pids:
                os.kill(pid, number)
        stage.service.process.wait()
        time.sleep(1.0)
        assert synthesizer.voices() >= len(CHORD)  # nobody was left who could
        settings = {"osc.port": stage.service.osc_port}
        with Service(jack_server.env, settings, stage.service.data_dir) as successor:
            wait_for(lambda: synthesizer.voices() == 0, "it still sounds")
            assert "was killed" in successor.said()
            assert successor.end() == 0


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody waits for does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
