"""Whole sessions on a manual clock: what is heard, launched, played, stopped."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from performances import fresh_state
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.timebase import NS_PER_MS

BEAT_MS = 500  # at 120


def ms(value: float) -> int:
    return round(value * NS_PER_MS)


def rehearsal(
    script: str = "", meter: Meter | None = None, tempo_bpm: float = 120.0, **generation: Any
) -> Rehearsal:
    """Two bars a completion, unless said otherwise; the transport stands still."""
    transport = Transport(tempo_bpm, meter, "internal")
    wishes = Generation(**{"bars": 2, **generation})
    return Rehearsal(ScriptedModel(script), wishes, transport)


def running(script: str = "", **generation: Any) -> Rehearsal:
    """The same, with the transport started at 0 ns."""
    started = rehearsal(script, **generation)
    started.transport.play(0)
    started.step()
    return started


def press(pitch: int, velocity: int = 80) -> bytes:
    return bytes((0x90, pitch, velocity))


def lift(pitch: int) -> bytes:
    return bytes((0x80, pitch, 0))


def play_note(r: Rehearsal, at_ms: float, pitch: int, length_ms: float) -> None:
    r.play(press(pitch), ms(at_ms))
    r.play(lift(pitch), ms(at_ms + length_ms))


def events(r: Rehearsal, address: str) -> list[tuple[Any, ...]]:
    return [args for _, name, args in r.events if name == address]


def onsets_ms(r: Rehearsal) -> list[float]:
    return [t / NS_PER_MS for t, message in r.sent if message[0] & 0xF0 == 0x90 and message[2]]


def hung(r: Rehearsal) -> set[int]:
    """Pitches that sound after everything that was sent."""
    sounding: set[int] = set()
    for _, message in r.sent:
        if message[0] & 0xF0 == 0x90 and message[2]:
            sounding.add(message[1])
        elif message[0] & 0xF0 in (0x80, 0x90):
            sounding.discard(message[1])
    return sounding


def heard_bars(r: Rehearsal) -> list[list[tuple[int, int, int, str]]]:
    return [
        sorted((n.onset, n.pitch, n.duration, str(n.voice)) for n in bar.notes)
        for bar in r.conductor.assembler.bars
    ]


# --- launching ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tempo_bpm", [50, 120, 220])
@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(3, 4), Meter(6, 8), Meter(7, 8)])
def test_every_note_is_on_its_beat(tempo_bpm: float, meter: Meter) -> None:
    r = rehearsal(meter=meter, tempo_bpm=tempo_bpm)
    r.transport.play(0)
    beat_ms = 60_000 / tempo_bpm
    bar_ms = meter.beats * beat_ms
    r.run_until_ns(ms(bar_ms / 2))
    _, start_bar = r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(4 * bar_ms))
    beats = [k * beat_ms for k in range(int(meter.beats + 0.5))]
    expected = [bar * bar_ms + b for bar in (1, 2) for b in beats if b < bar_ms]
    assert start_bar == 1
    assert onsets_ms(r) == pytest.approx(expected, abs=0.001)
    assert hung(r) == set()
    request, bars, notes, late, dropped, _ = events(r, "/rwkv/done")[0]
    assert (request, bars, notes, late, dropped) == (1, 2, len(expected), 0, 0)


def test_a_trigger_just_before_the_bar_closes_is_for_this_line_and_just_after_for_the_next() -> (
    None
):
    closing = 2000 - BEAT_MS / 24  # half a step
    for at_ms, line_ms in [(closing - 2, 2000), (closing + 2, 4000)]:
        r = running()
        r.run_until_ns(ms(at_ms))
        r.conductor.trigger(r.clock.now_ns())
        r.run_until_ns(ms(9000))
        assert onsets_ms(r)[0] == pytest.approx(line_ms, abs=0.001)


def test_a_stopped_transport_plays_at_once() -> None:
    r = rehearsal()
    r.run_until_ns(ms(1000))
    assert r.conductor.trigger(r.clock.now_ns()) == (1, 0)
    r.run_until_ns(ms(6000))
    assert 1000 <= onsets_ms(r)[0] <= 1030
    assert len(onsets_ms(r)) == 8


def test_the_first_note_starts_the_clock_and_is_the_downbeat() -> None:
    r = rehearsal()
    play_note(r, 1234, 60, 400)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(8000))
    assert heard_bars(r)[0] == [(0, 60, 10, "player")]
    assert onsets_ms(r)[0] == pytest.approx(3234, abs=0.001)


def test_the_clock_that_the_first_note_started_rests_after_four_quiet_bars() -> None:
    r = rehearsal()
    play_note(r, 1000, 60, 400)
    r.run_until_ns(ms(1000 + 4 * 2000))
    assert r.conductor.state == "listening"
    r.run_until_ns(ms(1000 + 5 * 2000))
    assert r.conductor.state == "idle"


def test_a_new_trigger_replaces_the_armed_one() -> None:
    r = running()
    r.run_until_ns(ms(500))
    assert r.conductor.trigger(r.clock.now_ns(), 4) == (1, 1)
    assert r.conductor.trigger(r.clock.now_ns(), 1) == (2, 1)
    r.run_until_ns(ms(9000))
    assert [done[:2] for done in events(r, "/rwkv/done")] == [(2, 1)]


def test_a_trigger_while_playing_is_queued_one_deep_and_starts_where_the_other_ends() -> None:
    r = running()
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns(), 1)
    r.run_until_ns(ms(2500))
    assert r.conductor.trigger(r.clock.now_ns(), 4) == (2, 2)
    assert r.conductor.trigger(r.clock.now_ns(), 1) == (3, 2)
    assert r.conductor.state == "playing"
    r.run_until_ns(ms(9000))
    assert [done[:3] for done in events(r, "/rwkv/done")] == [(1, 1, 4), (3, 1, 4)]
    assert onsets_ms(r) == pytest.approx([2000 + k * BEAT_MS for k in range(8)], abs=0.001)


def test_quantize_now_starts_on_the_next_step() -> None:
    r = running("steps", quantize="now", bars=1)
    r.run_until_ns(ms(700))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(4000))
    step_ms = BEAT_MS / 12
    assert onsets_ms(r)[0] == pytest.approx(17 * step_ms, abs=0.001)  # 708.3
    assert len(onsets_ms(r)) == 48 - 17


def test_quantize_beat_starts_on_the_next_beat() -> None:
    r = running(quantize="beat", bars=1)
    r.run_until_ns(ms(700))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(4000))
    assert onsets_ms(r) == pytest.approx([1000, 1500], abs=0.001)


def test_nudge_moves_the_output_and_not_the_music() -> None:
    for nudge in (-80.0, 35.0):
        r = running(nudge_ms=nudge)
        r.run_until_ns(ms(500))
        r.conductor.trigger(r.clock.now_ns())
        r.run_until_ns(ms(7000))
        assert onsets_ms(r)[0] == pytest.approx(2000 + nudge, abs=0.001)
        assert len(onsets_ms(r)) == 8
        assert [args[1] for args in events(r, "/rwkv/note/played")][:2] == [4.0, 5.0]
        assert hung(r) == set()


def test_no_model_is_error_503() -> None:
    r = running()
    r.conductor.worker_down(0)
    with pytest.raises(OscError) as error:
        r.conductor.trigger(0)
    assert error.value.code == 503


def test_a_once_parameter_is_for_one_request() -> None:
    r = running(bars=1)
    r.conductor.set_once("bars", 2)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(7000))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(12000))
    assert [done[1] for done in events(r, "/rwkv/done")] == [2, 1]


# --- lateness ----------------------------------------------------------------------------------


def slow(worker_ms: float, **generation: Any) -> Rehearsal:
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    wishes = Generation(**{"bars": 1, **generation})
    r = Rehearsal(ScriptedModel(), wishes, transport, worker_ns=ms(worker_ms))
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(4500))
    return r


def test_a_note_within_the_tolerance_is_played_at_once_and_counted() -> None:
    r = slow(30)  # half a step is 20.8 ms: the first note is some 10 ms late
    _, _, notes, late, dropped, worst_ms = events(r, "/rwkv/done")[0]
    assert (notes, late, dropped) == (4, 1, 0)
    assert 5 < worst_ms < 20
    assert onsets_ms(r)[0] == pytest.approx(2000 + worst_ms, abs=2.1)
    assert heard_bars(r)[1][0] == (0, 60, 11, "model")


def test_a_note_beyond_the_tolerance_is_dropped_whole_and_the_bar_does_not_shift() -> None:
    r = slow(60)
    _, _, notes, late, dropped, _ = events(r, "/rwkv/done")[0]
    assert (notes, late, dropped) == (3, 1, 1)
    assert onsets_ms(r) == pytest.approx([2500, 3000, 3500], abs=0.001)


def test_generation_starts_earlier_once_the_worker_is_known_to_be_slow() -> None:
    r = slow(60)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(9000))
    assert events(r, "/rwkv/done")[1][2:5] == (4, 0, 0)


# --- what is heard -----------------------------------------------------------------------------


def test_a_note_half_a_step_before_the_line_is_on_it() -> None:
    r = running()
    play_note(r, 100, 50, 50)
    half_step_ms = BEAT_MS / 24
    play_note(r, 2000 - half_step_ms - 1, 61, 30)
    play_note(r, 4000 - half_step_ms + 1, 62, 30)
    r.run_until_ns(ms(5000))
    assert heard_bars(r)[0][1] == (47, 61, 1, "player")
    assert heard_bars(r)[2] == [(0, 62, 1, "player")]


def test_what_is_outside_the_piano_or_on_the_drum_channel_is_counted_and_not_heard() -> None:
    r = running(thru=1)
    r.play(press(12), ms(100))
    r.play(bytes((0x99, 60, 80)), ms(110))
    r.run_until_ns(ms(200))
    assert r.conductor.ignored == {"pitch": 1, "drum channel": 1}
    assert [m for _, m in r.sent] == [press(12), bytes((0x99, 60, 80))]


def test_without_thru_nothing_of_the_players_goes_out() -> None:
    r = running()
    play_note(r, 100, 60, 50)
    r.play(bytes((0xB0, 64, 127)), ms(300))
    r.run_until_ns(ms(400))
    assert r.sent == []


def test_another_channel_is_not_heard() -> None:
    r = running(channel_in=3)
    play_note(r, 100, 60, 50)
    r.play(bytes((0x92, 61, 80)), ms(200))
    r.run_until_ns(ms(3000))
    assert [n[1] for n in heard_bars(r)[0]] == [61]


def test_an_echo_of_our_own_note_is_not_heard_twice() -> None:
    r = running(bars=1)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2000))
    r.play(press(60, 79), ms(2003))
    r.play(lift(60), ms(2460))
    r.play(press(61, 99), ms(2503))  # the player's own: another velocity
    r.run_until_ns(ms(5000))
    assert [(n[1], n[3]) for n in heard_bars(r)[1]][:3] == [
        (60, "model"),
        (61, "model"),
        (61, "player"),
    ]


@pytest.mark.parametrize(
    ("overlap", "heard", "finished"),
    [("merge", True, True), ("ignore", False, True), ("interrupt", True, False)],
)
def test_overlap(overlap: str, heard: bool, finished: bool) -> None:
    r = running(bars=1, overlap=overlap)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    play_note(r, 2600, 90, 300)
    r.run_until_ns(ms(6000))
    assert any(n[1] == 90 for n in heard_bars(r)[1]) is heard
    assert (len(onsets_ms(r)) == 4) is finished
    assert hung(r) == set()


# --- stopping ----------------------------------------------------------------------------------


def in_mid_note() -> Rehearsal:
    r = running(bars=2)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2750))
    assert hung(r) == {61}
    return r


def test_stop_releases_and_the_state_hears_what_sounded() -> None:
    r = in_mid_note()
    r.conductor.stop(r.clock.now_ns())
    assert hung(r) == set()
    assert r.output.sounding == 0
    r.run_until_ns(ms(9000))
    assert heard_bars(r)[1] == [(0, 60, 11, "model"), (12, 61, 6, "model")]
    assert len(onsets_ms(r)) == 2
    assert events(r, "/rwkv/done")[0][2] >= 2


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
    assert r.conductor.position(r.clock.now_ns())[0] == 0
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


# --- what is told --------------------------------------------------------------------------------


def test_the_notes_that_went_out_were_announced_and_are_remembered() -> None:
    r = running(bars=4)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(12_000))
    announced = [args[1:] for args in events(r, "/rwkv/note/played")]
    remembered = [
        ((bar.start_step + n.onset) / 12, n.pitch, n.velocity, n.duration / 12)
        for bar in r.conductor.assembler.bars
        for n in bar.notes
    ]
    went_out = [(m[1], m[2]) for _, m in r.sent if m[0] & 0xF0 == 0x90]
    assert announced == remembered
    assert [(pitch, velocity) for _, pitch, velocity, _ in announced] == went_out
    assert len(went_out) == 16


def test_bars_are_announced_as_they_close() -> None:
    r = running()
    play_note(r, 100, 60, 100)
    play_note(r, 300, 62, 100)
    r.run_until_ns(ms(7000))
    assert events(r, "/rwkv/bar") == [(0, 2), (1, 0), (2, 0)]
    times = [t for t, name, _ in r.events if name == "/rwkv/bar"]
    assert all(b - a == pytest.approx(ms(2000), abs=ms(2.1)) for a, b in pairwise(times))


@pytest.mark.parametrize(
    ("meter", "clicks"), [(Meter(4, 4), 4), (Meter(6, 8), 3), (Meter(7, 8), 4)]
)
def test_the_metronome_clicks_on_each_quarter_of_the_bar(meter: Meter, clicks: int) -> None:
    r = rehearsal(meter=meter, metronome=1)
    r.transport.play(0)
    r.run_until_ns(ms(2 * meter.beats * BEAT_MS - 1))
    struck = [(t, m) for t, m in r.sent if m[0] == 0x99]
    accents = [t / NS_PER_MS for t, m in struck if m[1] == 76]
    assert len(struck) == 2 * clicks
    assert accents == pytest.approx([0, meter.beats * BEAT_MS], abs=2)
    r.run_until_ns(r.clock.now_ns() + ms(50))
    assert hung(r) == set()


# --- undo --------------------------------------------------------------------------------------


def test_undo_is_as_if_the_completion_had_not_been() -> None:
    r = running(bars=2)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    play_note(r, 6100, 52, 300)  # in the bar after the completion
    r.run_until_ns(ms(9000))
    r.conductor.undo(r.clock.now_ns())
    r.run_until_ns(ms(9010))
    assert [[n[1] for n in bar] for bar in heard_bars(r)[:2]] == [[50], [52]]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_undo_leaves_what_the_player_played_meanwhile() -> None:
    r = running(bars=1)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    play_note(r, 2600, 90, 300)
    r.run_until_ns(ms(7000))
    r.conductor.undo(r.clock.now_ns())
    r.run_until_ns(ms(7010))
    assert [n[1] for n in heard_bars(r)[1]] == [90]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_undo_of_what_plays_stops_it() -> None:
    r = in_mid_note()
    r.conductor.undo(r.clock.now_ns())
    assert hung(r) == set()
    assert all(not bar.notes for bar in r.conductor.assembler.bars)


def test_undo_goes_back_one_completion_at_a_time() -> None:
    r = running(bars=1)
    play_note(r, 100, 50, 300)
    for _ in range(2):
        r.conductor.trigger(r.clock.now_ns())
        r.run_until_ns(r.clock.now_ns() + ms(5000))
    assert sum(bool(bar) for bar in heard_bars(r)) == 3
    r.conductor.undo(r.clock.now_ns())
    assert sum(bool(bar) for bar in heard_bars(r)) == 2
    r.conductor.undo(r.clock.now_ns())
    with pytest.raises(OscError) as error:
        r.conductor.undo(r.clock.now_ns())
    assert error.value.code == 406
