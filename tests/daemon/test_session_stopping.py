"""What ends a completion, and what is left of it."""

from __future__ import annotations

import pytest
from performances import fresh_state
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, heard_bars, hung, in_mid_note, lift, ms, onsets_ms, press, running

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter


def test_stop_releases_and_the_state_hears_what_sounded() -> None:
    r = in_mid_note()
    r.conductor.stop(r.clock.now_ns())
    assert hung(r) == set()
    assert r.output.sounding == 0
    r.run_until_ns(ms(9000))
    assert heard_bars(r)[1] == [(0, 60, 11, "model"), (12, 61, 6, "model")]
    assert len(onsets_ms(r)) == 2
    assert events(r, "/rwkv/done")[0][2] == 2


def test_only_notes_that_sounded_are_counted() -> None:
    r = running("steps", bars=4)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2580))  # the next note is with the output already
    r.conductor.stop(r.clock.now_ns())
    r.run_until_ns(ms(4000))
    assert events(r, "/rwkv/done")[0][2:5] == (14, 0, 0)
    assert len(onsets_ms(r)) == 14


def test_notes_that_are_sent_after_the_last_line_are_counted() -> None:
    r = running("steps", bars=1, nudge_ms=400)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(6000))
    assert events(r, "/rwkv/done")[0][2:5] == (48, 0, 0)
    assert len(onsets_ms(r)) == 48


@pytest.mark.parametrize("struck_ms", [2490, 2494, 2499])
def test_a_key_that_is_struck_just_before_our_note_of_it_leaves_nothing_sounding(
    struck_ms: float,
) -> None:
    """Ours is due at 2500, and with the output already."""
    r = running(bars=2, overlap="interrupt")
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(61), ms(struck_ms))
    r.play(lift(61), ms(struck_ms + 3))
    r.run_until_ns(ms(6000))
    assert hung(r) == set()
    assert r.output.sounding == 0
    assert (12, 61, 1, "player") in heard_bars(r)[1]
    assert len(onsets_ms(r)) == 1


def test_a_dead_worker_is_silence() -> None:
    r = in_mid_note()
    r.conductor.worker_down(r.clock.now_ns())
    assert hung(r) == set()
    assert ("down",) in events(r, "/rwkv/worker")


def test_the_daws_stop_ends_the_completion_and_disarms() -> None:
    r = in_mid_note()
    r.conductor.trigger(r.clock.now_ns())
    r.transport.stop(r.clock.now_ns())
    r.step()
    assert hung(r) == set()
    assert r.conductor.state == "idle"
    r.run_until_ns(ms(9000))
    assert len(onsets_ms(r)) == 2


def test_a_locate_ends_the_completion_and_numbers_bars_anew_but_forgets_nothing() -> None:
    transport = Transport(120.0, None, "osc")
    r = Rehearsal(ScriptedModel(), Generation(bars=2), transport)
    for k in range(28):
        r.run_until_ns(ms(100 * k))
        transport.osc_tempo(120.0, r.clock.now_ns())
        transport.osc_position(k / 5, r.clock.now_ns())
        if k == 0:
            transport.play(r.clock.now_ns())
        if k == 2:
            r.play(press(70))
        if k == 4:
            r.play(lift(70))
            r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2750))
    assert hung(r) == {61}
    transport.osc_position(0.0, r.clock.now_ns())
    r.step()
    assert hung(r) == set()
    assert transport.bar_at(transport.beat_at(r.clock.now_ns())).number == 0
    serials = [bar.serial for bar in r.conductor.assembler.bars]
    assert serials == sorted(set(serials))
    assert [n[1] for n in heard_bars(r)[0]] == [70]


def test_a_tempo_change_reaches_notes_not_yet_sent() -> None:
    r = running(bars=1)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2100))
    r.transport.osc_tempo(60.0, r.clock.now_ns())
    r.run_until_ns(ms(9000))
    # 0.2 beats had passed at 2100; the rest of the beat takes 800 ms, later ones 1000 ms.
    assert onsets_ms(r) == pytest.approx([2000, 2900, 3900, 4900], abs=70)
    assert r.conductor.performer.playing is None


def test_a_note_struck_again_gets_its_note_off_first() -> None:
    r = running(bars=1, thru=1)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(60, 33), ms(2100))
    r.run_until_ns(ms(2200))
    assert [m for _, m in r.sent] == [press(60, 79), lift(60), press(60, 33)]
    r.play(lift(60), ms(2300))
    r.run_until_ns(ms(6000))
    assert hung(r) == set()
    assert (0, 60, 2, "model") in heard_bars(r)[1]


def test_a_stop_in_the_last_beat_of_a_bar_makes_no_bar_of_what_was_to_come() -> None:
    r = running(bars=4)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(3900))  # the worker is beyond the line
    r.transport.stop(r.clock.now_ns())
    r.run_until_ns(ms(4500))
    assert [bar.number for bar in r.conductor.assembler.bars] == [0, 1]


def test_a_meter_in_the_last_beat_of_a_bar_is_that_of_the_next_one() -> None:
    r = running(bars=3)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(3700))  # the worker has begun the second bar
    r.transport.set_meter(Meter(5, 4), r.clock.now_ns())
    r.play(press(40), ms(6240))
    r.play(lift(40), ms(6400))  # in the fifth beat
    r.run_until_ns(ms(9500))
    assert events(r, "/rwkv/error") == []
    assert [str(bar.meter) for bar in r.conductor.assembler.bars] == ["4/4", "4/4", "5/4", "5/4"]
    third = [t for t in onsets_ms(r) if t > 6400]
    assert third == pytest.approx([6500 + 500 * k for k in range(5)], abs=0.001)


def test_a_long_horizon_leaves_bars_in_order() -> None:
    r = running(bars=6, horizon_beats=7.9)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(16_000))
    bars = r.conductor.assembler.bars
    assert [(bar.serial, bar.number) for bar in bars] == [(n, n) for n in range(8)]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())
