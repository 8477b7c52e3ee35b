"""Where and when a completion starts, and how late its notes are."""

from __future__ import annotations

from typing import Any

import pytest
from performances import Sparse, fresh_state
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import (
    BEAT_MS,
    events,
    heard_bars,
    hung,
    ms,
    onsets_ms,
    play_note,
    rehearsal,
    running,
)

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter


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


def test_it_does_not_rest_under_a_key_that_is_held_and_in_auto_the_answer_comes() -> None:
    r = rehearsal()
    r.conductor.set_mode("auto", 4, 4)
    play_note(r, 1000, 60, 9 * 2000)
    assert r.conductor.state == "listening"
    r.run_until_ns(ms(1000 + 13 * 2000))
    assert onsets_ms(r)[0] == pytest.approx(1000 + 11 * 2000, abs=0.001)


@pytest.mark.parametrize("wish", ["play", "continue"])
def test_a_clock_that_is_wished_for_does_not_rest(wish: str) -> None:
    r = rehearsal()
    play_note(r, 1000, 60, 400)
    r.run_until_ns(ms(3000))
    r.ask(f"/rwkv/transport/{wish}")
    r.run_until_ns(ms(3000 + 7 * 2000))
    assert r.conductor.state == "listening"


def test_a_host_that_takes_over_the_clock_is_not_stopped() -> None:
    r = Rehearsal(ScriptedModel(), Generation(), Transport(120.0, None, "auto"))
    play_note(r, 0, 60, 400)
    for k in range(150):
        r.run_until_ns(ms(500 + 100 * k))
        r.transport.osc_tempo(120.0, r.clock.now_ns())
        r.transport.osc_position(1 + k / 5, r.clock.now_ns())
        if k == 0:
            r.transport.play(r.clock.now_ns())
    assert r.transport.source == "osc"
    assert r.conductor.state == "listening"


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
    r.conductor.wishes.set_once("bars", 2)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(7000))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(12000))
    assert [done[1] for done in events(r, "/rwkv/done")] == [2, 1]


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


def test_one_slow_answer_is_forgotten_after_three_completions() -> None:
    r = slow(900)  # ms for the first chord
    lead_ms = []
    for _ in range(4):
        r._worker_ns = ms(1)
        lead_ms.append(r.conductor.performer.lead.ns() / 1e6)
        r.conductor.trigger(r.clock.now_ns())
        r.run_until_ns(r.clock.now_ns() + ms(5000))
    assert all(lead > 800 for lead in lead_ms[:3])
    assert lead_ms[3] < 10


@pytest.mark.parametrize(
    ("tempo_bpm", "nudge_ms", "horizon_beats", "worker_ms"),
    [
        (120, -500, 1, 1),
        (120, -500, 8, 1),
        (200, -300, 1, 1),
        (120, -100, 0.25, 1),
        (200, 500, 0.25, 1),
        (120, 0, 0.25, 5),
        (200, 0, 0.25, 5),
        (120, 0, 0.5, 5),
    ],
)
def test_no_note_is_late_however_early_it_is_sent_and_near_the_horizon_is(
    tempo_bpm: float, nudge_ms: float, horizon_beats: float, worker_ms: float
) -> None:
    transport = Transport(tempo_bpm, None, "internal")
    transport.play(0)
    wishes = Generation(bars=2, nudge_ms=nudge_ms, horizon_beats=horizon_beats)
    r = Rehearsal(ScriptedModel("steps"), wishes, transport, worker_ns=ms(worker_ms))
    r.run_until_ns(ms(100))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(8000))
    step_ms = 5000 / tempo_bpm
    expected = [(48 + k) * step_ms + nudge_ms for k in range(96)]
    assert onsets_ms(r) == pytest.approx(expected, abs=0.01)
    assert events(r, "/rwkv/done")[0][2:5] == (96, 0, 0)


def test_a_tolerance_for_one_request() -> None:
    dropped = []
    for verb in ("once", "set"):
        r = slow(60)
        r.ask(f"/rwkv/{verb}/late_tolerance_ms", 200)
        for _ in range(2):
            r.conductor.performer.lead.restart(0)
            r.conductor.trigger(r.clock.now_ns())
            r.run_until_ns(r.clock.now_ns() + ms(5000))
        dropped.append([done[4] for done in events(r, "/rwkv/done")])
    assert dropped == [[1, 0, 1], [1, 0, 0]]


def test_an_earlier_nudge_does_not_send_later_completions_early() -> None:
    r = running(bars=1, nudge_ms=-400)
    r.run_until_ns(ms(100))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(4600))
    r.ask("/rwkv/set/nudge_ms", 0)
    r.conductor.trigger(r.clock.now_ns())  # from 6000 on
    r.run_until_ns(ms(6200))
    r.transport.osc_tempo(60.0, r.clock.now_ns())  # 300 ms before the second note
    r.run_until_ns(ms(12_000))
    assert onsets_ms(r)[4:] == pytest.approx([6000, 6800, 7800, 8800], abs=70)


@pytest.mark.parametrize("from_ms", [2600, 3800])  # also when the completion's end is missed
def test_notes_that_a_stall_makes_too_late_are_dropped_and_counted(from_ms: float) -> None:
    r = running("steps", bars=1)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(from_ms))
    r.clock.advance_to_ns(ms(from_ms + 300))  # the notes were made a beat ahead
    r.run_until_ns(ms(5000))
    step_ms = BEAT_MS / 12
    last_ms = from_ms + 300
    missed = [2000 + k * step_ms for k in range(48) if from_ms + 8 <= 2000 + k * step_ms <= last_ms]
    late = [due for due in missed if last_ms + 2 - due <= 20]
    _, _, notes, counted, dropped, _ = events(r, "/rwkv/done")[0]
    assert dropped == pytest.approx(len(missed) - len(late), abs=1)
    assert dropped >= 4
    assert counted - dropped == pytest.approx(len(late), abs=1)
    assert notes == 48 - dropped == len(onsets_ms(r)) == sum(map(len, heard_bars(r)))
    assert not any(from_ms + 9 < t < last_ms for t in onsets_ms(r))
    assert hung(r) == set()


def test_notes_sent_early_leave_an_empty_bar_in_its_place() -> None:
    """The fourth bar's first note goes out in the third, which is empty and not yet closed."""
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    r = Rehearsal(Sparse(), Generation(bars=4, nudge_ms=-400), transport)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(12_500))
    bars = r.conductor.assembler.bars
    assert [bar.number for bar in bars] == list(range(len(bars)))
    assert [bool(bar.notes) for bar in bars][:6] == [True, True, False, True, False, False]
    assert onsets_ms(r)[4] == pytest.approx(6000 - 400, abs=0.01)
    assert r.worker.session.fork() == fresh_state(r, Sparse())


def test_a_bar_of_rest_is_heard_before_the_next_one_whose_music_is_asked_for_during_it() -> None:
    """Half a second before the second beat of bar 2 it is still bar 1, in which nobody played."""
    transport = Transport(200.0, None, "internal")
    transport.play(0)
    wishes = Generation(bars=1, quantize="beat", nudge_ms=-500)
    r = Rehearsal(ScriptedModel(), wishes, transport)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2000))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2250))
    armed = r.conductor.performer.armed or r.conductor.performer.playing
    assert armed is not None
    assert (armed.first.number, armed.first_step, armed.generating) == (2, 12, True)
    r.run_until_ns(ms(6000))
    bars = list(r.conductor.assembler.bars)
    assert [bar.number for bar in bars] == list(range(len(bars)))
    assert bars[1].is_silence
    assert bars[2].notes
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())
