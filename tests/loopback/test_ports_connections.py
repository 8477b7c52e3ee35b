"""Connections to others, on JACK: configured ones, and those that come back by themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jack
import pytest
from live_stage import NOTE_OFF, NOTE_ON, Stage, live_stage, note_ons, wait_for
from real_programs import need_program

from benchmarks.rig import JackServer, Probe, Service

INPUT, OUTPUT = "RWKV Music In", "RWKV Music Out"


@pytest.fixture
def jack_server() -> Iterator[JackServer]:
    """A fresh one that does not wait for the dead."""
    need_program("jackd", "jackd2")
    with JackServer(period=256, synchronous=False) as server:
        yield server


def are_connected(server: JackServer, probe: Probe) -> bool:
    found = server.peers(INPUT), server.peers(OUTPUT)
    return found == ({probe.player}, {probe.listener})


def wait_for_looks(stage: Stage) -> None:
    """Return when the service has looked at its connections some times: between two heartbeats it
    does so four times."""
    for _ in range(2):
        stage.events.forget()
        stage.events.wait_for("/rwkv/heartbeat")


def through_again(stage: Stage) -> None:
    """What is played in comes out, by nobody's hand."""
    stage.probe.heard()

    def comes_out() -> bool:
        stage.send(bytes((NOTE_ON, 64, 90)), bytes((NOTE_OFF, 64, 0)))
        return 64 in note_ons(stage.probe.heard())

    wait_for(comes_out, "nothing comes through")


def test_a_keyboard_and_a_synthesizer_that_come_and_go(jack_server: JackServer) -> None:
    settings = {
        "midi.connect_from": "probe player",
        "midi.connect_to": '["no such synth", "Probe Listener"]',
    }
    with Service(jack_server.env, settings):
        for _ in range(2):
            with Probe(jack_server.env) as probe:
                wait_for(lambda p=probe: are_connected(jack_server, p), "they are not connected")


def test_an_io_that_dies_comes_back_with_its_connections(jack_server: JackServer) -> None:
    with live_stage(jack_server, generation__thru=1) as stage:
        through_again(stage)
        wait_for(lambda: are_connected(jack_server, stage.probe), "they are not connected")
        wait_for_looks(stage)
        hurt = stage.service.kill("io")
        wait_for(lambda: stage.service.pid("io") not in (hurt, None), "no new io process came")
        wait_for(lambda: are_connected(jack_server, stage.probe), "they are not connected again")
        stage.wait_until_answers()
        through_again(stage)


def test_what_is_disconnected_by_hand_stays_so(jack_server: JackServer) -> None:
    with live_stage(jack_server) as stage:
        wait_for(lambda: are_connected(jack_server, stage.probe), "they are not connected")
        stage.probe.heard()
        client = jack.Client("hand", servername=jack_server.name, no_start_server=True)
        client.disconnect(jack_server.wait_for_port(OUTPUT), stage.probe.listener)
        client.close()
        wait_for_looks(stage)
        assert jack_server.peers(OUTPUT) == set()
        assert jack_server.peers(INPUT) == {stage.probe.player}


def test_a_server_that_comes_back_finds_its_connections_made_again(
    jack_server: JackServer,
) -> None:
    with (
        Service(jack_server.env, {}) as service,
        Probe(jack_server.env) as probe,
    ):
        probe.listen_to(jack_server.wait_for_port(OUTPUT))
        probe.play_to(jack_server.wait_for_port(INPUT))
        wait_for(lambda: bool(list(service.data_dir.glob("destinations*"))), "nothing is recorded")
        time.sleep(1.5)  # the service looks at its connections every half second
        jack_server.kill()
        jack_server.start()
        probe.close()
        with Probe(jack_server.env) as again:
            wait_for(lambda: are_connected(jack_server, again), "they are not connected again")
