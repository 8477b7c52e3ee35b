"""Turns of bars, and answers to silence."""

from __future__ import annotations

import pytest
from session_stage import events, hung, lift, ms, onsets_ms, play_note, press, rehearsal, running

from rwkv_music.music import Meter


def test_trade_takes_turns_on_the_bar_lines() -> None:
    r = rehearsal()
    r.conductor.set_mode("trade", 2, 1)
    r.transport.play(0)
    r.run_until_ns(ms(100))
    play_note(r, 200, 50, 200)
    r.run_until_ns(ms(11_900))
    first = [t for t, (_, m) in zip(onsets_ms(r), r.sent[::2], strict=False) if m[1] == 60]
    assert first == pytest.approx([4000, 10_000], abs=0.001)
    assert len(onsets_ms(r)) == 8
    assert events(r, "/rwkv/turn") == [
        ("player", 2),
        ("player", 1),
        ("model", 1),
        ("player", 2),
        ("player", 1),
        ("model", 1),
    ]


def test_a_pedal_changes_the_mode() -> None:
    r = running(bars=1)
    for command, controller in (("mode_trade", 20), ("mode_auto", 21), ("mode_manual", 22)):
        r.ask("/rwkv/learn", command)
        r.control.midi(0, bytes((0xB0, controller, 127)))
        r.control.midi(0, bytes((0xB0, controller, 0)))
    r.control.midi(0, bytes((0xB0, 20, 127)))
    r.run_until_ns(ms(7900))  # turns of one bar, as `bars` says, begin with bar 1
    assert events(r, "/rwkv/turn") == [("player", 1), ("model", 1), ("player", 1)]
    assert onsets_ms(r) == pytest.approx([4000, 4500, 5000, 5500], abs=0.001)
    r.control.midi(r.clock.now_ns(), bytes((0xB0, 21, 127)))
    play_note(r, 8100, 50, 200)
    r.run_until_ns(ms(15_900))
    assert onsets_ms(r)[4:] == pytest.approx([12_000, 12_500, 13_000, 13_500], abs=0.001)
    r.control.midi(r.clock.now_ns(), bytes((0xB0, 22, 127)))
    play_note(r, 16_100, 50, 200)
    r.run_until_ns(ms(24_000))
    assert len(onsets_ms(r)) == 8
    assert events(r, "/rwkv/error") == []


def test_trade_begins_with_the_next_bar_and_ends_with_mode_manual() -> None:
    r = running()
    r.run_until_ns(ms(500))
    r.conductor.set_mode("trade", 1, 1)
    r.run_until_ns(ms(5500))
    assert onsets_ms(r)[0] == pytest.approx(4000, abs=0.001)
    r.conductor.set_mode("manual", 1, 1)
    r.run_until_ns(ms(20_000))
    assert len(onsets_ms(r)) == 4


def test_auto_answers_a_bar_of_silence_once() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.run_until_ns(ms(20_000))
    assert onsets_ms(r) == pytest.approx([4000, 4500, 5000, 5500], abs=0.001)
    play_note(r, 20_100, 50, 300)
    r.run_until_ns(ms(30_000))
    assert len(onsets_ms(r)) == 8


def test_auto_does_not_answer_while_a_key_is_held() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    r.play(press(50), ms(100))
    r.run_until_ns(ms(7000))
    assert onsets_ms(r) == []


def test_auto_withdraws_its_answer_when_the_player_goes_on() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.run_until_ns(ms(2900))
    assert r.conductor.state == "armed"
    play_note(r, 3000, 52, 100)
    assert r.conductor.state == "listening"
    r.run_until_ns(ms(9000))
    assert onsets_ms(r) == pytest.approx([6000, 6500, 7000, 7500], abs=0.001)


def test_auto_does_not_withdraw_what_was_asked_for() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.run_until_ns(ms(2900))
    r.conductor.trigger(r.clock.now_ns())
    play_note(r, 3000, 52, 100)
    r.run_until_ns(ms(5900))
    assert onsets_ms(r) == pytest.approx([4000, 4500, 5000, 5500], abs=0.001)


def test_auto_yields_and_a_pitch_that_the_player_holds_sounds_on_until_the_key_goes_up() -> None:
    r = running(bars=2)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.run_until_ns(ms(4600))
    assert hung(r) == {61}
    r.play(press(61, 99), ms(4700))
    assert hung(r) == {61}
    assert r.conductor.state == "listening"
    r.play(lift(61), ms(5000))
    r.run_until_ns(ms(5010))
    assert hung(r) == set()
    assert r.output.sounding == 0


def test_under_one_key_notes_of_two_channels_sound_on_and_both_end_when_it_goes_up() -> None:
    r = running(bars=1, overlap="interrupt")
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(61, 99), ms(2700))
    r.run_until_ns(ms(3000))
    assert hung(r) == {61}
    r.ask("/rwkv/set/channel_out", 5)
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(64), ms(4700))
    r.run_until_ns(ms(4800))
    assert r.output.sounding == 2
    r.play(lift(61), ms(5000))
    r.run_until_ns(ms(5010))
    assert r.output.sounding == 0
    assert [m for t, m in r.sent if t >= ms(5000)] == [lift(61), bytes((0x84, 61, 0))]


def test_what_the_player_holds_on_ends_with_stop() -> None:
    r = running(bars=1, overlap="interrupt")
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(61, 99), ms(2700))
    r.run_until_ns(ms(3000))
    r.conductor.stop(r.clock.now_ns())
    assert r.output.sounding == 0


@pytest.mark.parametrize(("listen_bars", "play_bars"), [(1, 1), (1, 4), (4, 1), (2, 3)])
def test_trade_keeps_to_its_turns_however_long_they_are(listen_bars: int, play_bars: int) -> None:
    r = rehearsal()
    r.conductor.set_mode("trade", listen_bars, play_bars)
    r.transport.play(0)
    turns = listen_bars + play_bars
    bars = range(4 * turns)
    ours = [bar for bar in bars if bar % turns >= listen_bars]
    for bar in bars:
        if bar not in ours:
            play_note(r, bar * 2000 + 700, 50, 300)
    r.run_until_ns(ms(len(bars) * 2000 - 10))
    beats = [bar * 2000 + beat * 500 for bar in ours for beat in range(4)]
    assert onsets_ms(r) == pytest.approx(beats, abs=0.001)
    assert hung(r) == set()


def test_what_is_queued_moves_with_the_meter_of_what_plays() -> None:
    r = running(bars=2)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2500))
    r.conductor.trigger(r.clock.now_ns(), 1)
    r.transport.set_meter(Meter(3, 4), r.clock.now_ns())  # from the second bar on
    r.run_until_ns(ms(9000))
    assert onsets_ms(r) == pytest.approx([2000 + k * 500 for k in range(10)], abs=0.001)


def test_what_was_set_once_for_an_answer_that_is_withdrawn_is_for_the_next() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.ask("/rwkv/once/channel_out", 3)
    r.run_until_ns(ms(2900))
    assert r.conductor.state == "armed"
    r.ask("/rwkv/once/bars", 2)
    play_note(r, 3000, 52, 100)
    r.run_until_ns(ms(9500))
    assert r.conductor.state == "playing"
    r.run_until_ns(ms(11_000))
    assert [m[0] for _, m in r.sent] == [0x92, 0x82] * 8


def test_what_was_set_once_is_for_a_request_that_takes_the_place_of_an_answer() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.ask("/rwkv/once/channel_out", 3)
    r.run_until_ns(ms(2900))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(5900))
    assert {m[0] for _, m in r.sent} == {0x92, 0x82}


def test_with_the_mode_goes_the_answer_that_waits() -> None:
    r = running(bars=1)
    r.conductor.set_mode("trade", 1, 1)
    r.run_until_ns(ms(2900))
    assert r.conductor.state == "armed"
    r.conductor.set_mode("manual", 1, 1)
    r.run_until_ns(ms(9000))
    assert onsets_ms(r) == []
