"""Keys whose note-off is lost, of the player's and of our own that came back."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.rehearsal import Rehearsal
from session_stage import events, heard_bars, lift, ms, onsets_ms, play_note, press, running


def on_channel(channel: int, message: bytes) -> bytes:
    return bytes((message[0] | channel, *message[1:]))


@pytest.mark.parametrize("controller", [120, 123, 124])
def test_all_notes_off_lets_every_key_of_its_channel_go(controller: int) -> None:
    r = running(thru=1)
    for channel in (0, 1):
        r.play(on_channel(channel, press(60)), ms(100))
    r.run_until_ns(ms(300))
    r.ask("/rwkv/set/thru", 0)
    r.play(bytes((0xB0, controller, 0)), ms(600))
    r.run_until_ns(ms(700))
    assert [m for _, m in r.sent][2:] == [lift(60)]
    assert [args[3] for args in events(r, "/rwkv/note/heard")] == [1.0]
    r.play(on_channel(1, lift(60)), ms(1100))
    r.run_until_ns(ms(2500))
    assert heard_bars(r)[0] == [(2, 60, 12, "player"), (2, 60, 24, "player")]


def lost_note_off() -> Rehearsal:
    """In auto, when a key has been down for long whose note-off has got lost."""
    r = running(bars=1)
    r.ask("/rwkv/mode", "auto")
    r.play(press(50), ms(100))
    play_note(r, 1000, 52, 200)
    r.run_until_ns(ms(6000))
    assert onsets_ms(r) == []
    return r


def test_auto_answers_again_after_all_notes_off() -> None:
    r = lost_note_off()
    r.play(bytes((0xB0, 123, 0)))
    r.run_until_ns(ms(12_000))
    assert len(onsets_ms(r)) == 4


@pytest.mark.parametrize("ending", ["/rwkv/reset", "/rwkv/panic"])
def test_auto_answers_again_after_a_reset_or_a_panic(ending: str) -> None:
    r = lost_note_off()
    r.ask(ending)
    play_note(r, 6500, 52, 200)
    r.run_until_ns(ms(14_000))
    assert len(onsets_ms(r)) == 4


def test_after_a_reset_there_is_nothing_to_answer() -> None:
    r = running(bars=1)
    r.ask("/rwkv/mode", "auto")
    play_note(r, 100, 50, 200)
    r.ask("/rwkv/reset")
    r.run_until_ns(ms(10_000))
    assert onsets_ms(r) == []


def test_the_note_off_after_a_lost_one_of_ours_is_the_players() -> None:
    r = running(bars=1)
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(60, 79), ms(2005))  # the echo of ours; its note-off never comes
    play_note(r, 5100, 60, 200)
    r.run_until_ns(ms(6500))
    assert len(events(r, "/rwkv/note/heard")) == 1
    assert heard_bars(r)[2] == [(26, 60, 5, "player")]
    assert not r.conductor.listener.held_pitches


def test_the_end_of_ours_that_comes_back_late_does_not_end_the_players_note() -> None:
    r = running(bars=1)
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(60, 79), ms(2005))  # the echo of ours, which sounds until 2458
    r.play(press(60, 99), ms(2465))
    r.play(lift(60), ms(2470))  # of ours
    r.play(lift(60), ms(2960))
    assert [args[3] for args in events(r, "/rwkv/note/heard")] == [1.0]


def test_nor_does_the_one_that_comes_back_at_once() -> None:
    r = running(bars=1)
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(60, 79), ms(2001))  # the echo of ours, which sounds until 2458.3
    r.play(press(60, 99), ms(2100))
    r.run_until_ns(ms(2458))
    r.clock.advance_to_ns(ms(2458.5))  # before the loop looks again
    r.output.pump()
    assert r.sent[-1] == (r.clock.now_ns(), lift(60))
    r.conductor.midi(r.clock.now_ns(), lift(60))
    r.play(lift(60), ms(2960))
    assert [args[3] for args in events(r, "/rwkv/note/heard")] == [1.75]
