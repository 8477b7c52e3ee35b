"""What is heard, told and taken back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from performances import fresh_state
from rwkv_music_daemon.osc.arguments import OscError
from session_stage import (
    BEAT_MS,
    events,
    heard_bars,
    hung,
    in_mid_note,
    lift,
    ms,
    onsets_ms,
    play_note,
    press,
    rehearsal,
    running,
)

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.timebase import NS_PER_MS


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
    assert r.conductor.listener.ignored == {"pitch": 1, "drum channel": 1}
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
    r.play(press(61, 99), ms(2503))  # through a velocity curve
    r.play(press(61, 99), ms(2560))  # the player's own: too late for an echo
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


def test_undo_is_as_if_the_completion_had_not_been() -> None:
    r = running(bars=2)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    play_note(r, 6100, 52, 300)  # in the bar after the completion
    r.run_until_ns(ms(9000))
    r.conductor.undo(r.clock.now_ns())
    r.run_until_ns(ms(9010))
    assert [[n[1] for n in bar] for bar in heard_bars(r) if bar] == [[50], [52]]
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
    r.step()
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())
    play_note(r, 3000, 52, 200)  # in the bar that has been emptied
    r.run_until_ns(ms(5000))
    assert [n[1] for n in heard_bars(r)[1]] == [52]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_a_bar_that_was_undone_before_it_was_over_may_still_be_played_in() -> None:
    """It has been closed half a second before its line, for what is sent early after it."""
    r = running(bars=1, nudge_ms=-500)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2500))
    r.conductor.trigger(r.clock.now_ns())  # from 4000 on: asked for before 3500
    r.run_until_ns(ms(3600))
    r.conductor.undo(r.clock.now_ns())
    r.conductor.undo(r.clock.now_ns())
    play_note(r, 3650, 52, 100)
    r.run_until_ns(ms(9000))
    assert [[n[1] for n in bar] for bar in heard_bars(r) if bar] == [[50], [52]]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


@pytest.mark.parametrize(("bars", "later"), [(16, 0), (15, 1), (17, 0), (24, 0), (16, 1)])
def test_undo_is_whole_or_refused(bars: int, later: int) -> None:
    """Sixteen bars can be corrected: those of the completion, and those heard since."""
    r = running(bars=bars)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2000 * (bars + 1) + 100))
    for _ in range(later):
        play_note(r, r.clock.now_ns() / 1e6 + 100, 52, 300)
    before = heard_bars(r)
    if bars + later <= 16:
        r.conductor.undo(r.clock.now_ns())
    else:
        with pytest.raises(OscError, match="16 bars ago") as error:
            r.conductor.undo(r.clock.now_ns())
        assert error.value.code == 406
        assert heard_bars(r) == before
    r.run_until_ns(r.clock.now_ns() + ms(100))
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_undo_after_undo_does_not_reach_further_back() -> None:
    r = running(bars=6)
    play_note(r, 100, 50, 300)
    for _ in range(3):
        r.conductor.trigger(r.clock.now_ns())
        r.run_until_ns(r.clock.now_ns() + ms(14_000))
    for _ in range(2):
        r.conductor.undo(r.clock.now_ns())
    with pytest.raises(OscError) as error:
        r.conductor.undo(r.clock.now_ns())
    assert error.value.code == 406
    r.run_until_ns(r.clock.now_ns() + ms(100))
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


@pytest.mark.parametrize(
    ("undone_ms", "lead_ms", "line_ms"),
    [(5100, 0, 6000), (5985, 0, 6000), (5960, 50, 8000)],  # waits; has been asked for; too late
)
def test_undo_leaves_what_was_asked_for_to_be_made_from_the_state_as_it_is(
    undone_ms: float, lead_ms: float, line_ms: float
) -> None:
    r = running(bars=1)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(5000))
    r.conductor.performer.lead.restart(ms(lead_ms))
    r.conductor.trigger(r.clock.now_ns(), 2)
    r.run_until_ns(ms(undone_ms))
    r.conductor.undo(r.clock.now_ns())
    r.run_until_ns(ms(13_000))
    assert onsets_ms(r)[4:] == pytest.approx([line_ms + 500 * k for k in range(8)], abs=0.01)
    assert [done[:2] for done in events(r, "/rwkv/done")] == [(1, 1), (2, 2)]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_a_note_that_interrupts_leaves_what_was_asked_for_to_follow_it() -> None:
    r = running(bars=4, overlap="interrupt")
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2600))
    r.conductor.trigger(r.clock.now_ns(), 1)  # where the first ends, at 10,000
    play_note(r, 3000, 52, 300)
    assert r.conductor.state == "armed"
    r.run_until_ns(ms(9000))
    assert onsets_ms(r) == pytest.approx([2000, 2500, 3000, 4000, 4500, 5000, 5500], abs=4.1)
    assert [done[:2] for done in events(r, "/rwkv/done")] == [(1, 4), (2, 1)]
    assert hung(r) == set()


def test_undo_of_nothing_changes_nothing() -> None:
    r = running(bars=1)
    play_note(r, 100, 50, 300)
    r.conductor.trigger(r.clock.now_ns())
    with pytest.raises(OscError) as error:
        r.conductor.undo(r.clock.now_ns())
    assert error.value.code == 406
    assert r.conductor.state == "armed"
    r.run_until_ns(ms(5000))
    assert len(onsets_ms(r)) == 4


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
