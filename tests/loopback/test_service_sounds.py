"""What sounds on after its time is over: notes that may ring, and the player's sustain pedal."""

from __future__ import annotations

import time

import pytest
from live_stage import CONTROL, NOTE_ON, PEDAL, Stage, live_stage, note_ons, sounding, wait_for

from benchmarks.rig import JackServer, Synthesizer

DOWN, UP = bytes((CONTROL, PEDAL, 127)), bytes((CONTROL, PEDAL, 0))
STRIKE, LIFT = bytes((NOTE_ON, 48, 100)), bytes((NOTE_ON, 48, 0))
BAR_S = 4 * 60 / 200
OFF_BY_S = 0.1  # far less than a note is let ring, far more than a driver needs


def release_s(stage: Stage, seed: int, let_ring: int) -> tuple[float, float]:
    """Of a completion of one bar: how long after its first note the bar ends, and the last
    note-off comes."""
    stage.osc.request("/rwkv/set/let_ring", let_ring)
    stage.osc.request("/rwkv/set/seed", seed)
    stage.probe.heard()
    request, _ = stage.osc.request("/rwkv/trigger")[-1].args
    first = stage.events.wait_for("/rwkv/note/played", lambda m: m.args[0] == request)[1]
    stage.events.wait_for("/rwkv/done", lambda m: m.args[0] == request)
    heard = stage.probe.heard()
    wait_for(lambda: heard.extend(stage.probe.heard()) or not sounding(heard), "a note hangs")
    begun_ns = next(t for t, m in heard if m[0] & 0xF0 == NOTE_ON and m[2])
    rest_of_bar_s = BAR_S - first.args[1] % 4 / 4 * BAR_S
    return rest_of_bar_s, (heard[-1][0] - begun_ns) / 1e9


def test_last_notes_end_with_the_completion_or_ring(jack_server: JackServer) -> None:
    """With the embedded model, until one of its bars has a note that is longer than the bar."""
    settings = {
        "model__engine": "auto",
        "transport__tempo_bpm": 200,
        "generation__bars": 1,
        "generation__temperature": 1.5,
        "generation__top_p": 1,
    }
    with live_stage(jack_server, **settings) as stage:
        for seed in range(12):
            bar_s, last_s = release_s(stage, seed, let_ring=1)
            if last_s > bar_s + 3 * OFF_BY_S:
                break
        else:
            pytest.fail("no note of twelve bars was let ring")
        bar_s, last_s = release_s(stage, seed, let_ring=0)
        assert last_s <= bar_s + OFF_BY_S


def test_the_pedal_is_passed_on_and_comes_up_when_all_is_silenced(
    jack_server: JackServer, synthesizer: Synthesizer
) -> None:
    with live_stage(jack_server, generation__thru=1) as stage:
        jack_server.connect(jack_server.wait_for_port("RWKV Music Out"), synthesizer.port)
        stage.send(DOWN, STRIKE, LIFT)
        heard = stage.probe.heard()
        wait_for(
            lambda: heard.extend(stage.probe.heard()) or len(heard) >= 3, "not all came through"
        )
        wait_for(lambda: synthesizer.voices(), "nothing sounds")
        assert [m for _, m in heard if m[0] == CONTROL] == [DOWN]
        assert sounding(heard) == set()  # the key is up, and the pedal lets it sound
        stage.start_note()
        stage.osc.request("/rwkv/stop")
        time.sleep(0.1)
        heard = stage.probe.heard()
        assert note_ons(heard) == [60]
        assert UP not in [m for _, m in heard]  # the player's foot is still down
        assert synthesizer.voices()
        stage.osc.request("/rwkv/panic")
        wait_for(lambda: not synthesizer.voices(), "something sounds on")
        assert UP in [m for _, m in stage.probe.heard()]
