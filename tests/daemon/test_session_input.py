"""What comes in: sent on, known again as an echo, ended whatever has changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from rwkv_music_daemon.rehearsal import Rehearsal
from session_stage import (
    BEAT_MS,
    events,
    heard_bars,
    hung,
    lift,
    ms,
    onsets_ms,
    play_note,
    press,
    running,
)

from rwkv_music.music import LONGEST_STEPS

PEDAL_DOWN, PEDAL_UP = bytes((0xB0, 64, 127)), bytes((0xB0, 64, 0))
_LOOP_MS = 5


def on_channel(channel: int, message: bytes) -> bytes:
    return bytes((message[0] | channel, *message[1:]))


def run_looped(
    r: Rehearsal,
    until_ms: int,
    played: Iterable[tuple[int, bytes]] = (),
    curve: Callable[[int], int] = lambda velocity: velocity,
) -> None:
    """On a track that monitors both ports: all that goes out comes in again, 5 ms later."""
    coming, back = list(played), 0
    for now_ms in range(until_ms):
        r.run_until_ns(ms(now_ms))
        while coming and coming[0][0] <= now_ms:
            r.play(coming.pop(0)[1])
        while back < len(r.sent) and r.sent[back][0] <= ms(now_ms - _LOOP_MS):
            message = r.sent[back][1]
            back += 1
            if message[0] & 0xF0 == 0x90:
                message = bytes((*message[:2], curve(message[2])))
            r.play(message)


# --- thru and channels -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("thru", 0), ("channel_in", 5)])
def test_what_was_sent_on_ends_whatever_is_wished_by_then(name: str, value: int) -> None:
    r = running(thru=1)
    r.play(PEDAL_DOWN, ms(50))
    r.play(press(60), ms(100))
    r.run_until_ns(ms(200))
    r.ask(f"/rwkv/set/{name}", value)
    r.play(lift(60), ms(300))
    r.play(PEDAL_UP, ms(350))
    r.run_until_ns(ms(400))
    assert [m for _, m in r.sent] == [PEDAL_DOWN, press(60), lift(60), PEDAL_UP]
    assert r.output.sounding == 0
    r.play(PEDAL_UP)
    play_note(r, 500, 62, 50)
    r.run_until_ns(ms(600))
    assert len(r.sent) == 4


def test_a_key_that_is_down_is_heard_to_go_up_on_a_channel_that_is_heard_no_more() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    r.play(press(50), ms(100))
    r.run_until_ns(ms(200))
    r.ask("/rwkv/set/channel_in", 5)
    r.play(lift(50), ms(350))
    r.run_until_ns(ms(7000))
    assert heard_bars(r)[0] == [(2, 50, 6, "player")]
    assert onsets_ms(r)[0] == pytest.approx(4000, abs=0.001)


def test_drums_are_no_playing_and_end_no_note() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    r.play(press(38), ms(100))
    r.play(bytes((0x99, 38, 90)), ms(250))
    r.play(bytes((0x89, 38, 0)), ms(300))
    r.play(lift(38), ms(600))
    for at_ms in range(700, 6000, 250):
        r.play(bytes((0x99, 38, 90)), ms(at_ms))
        r.play(bytes((0x89, 38, 0)), ms(at_ms + 50))
    assert heard_bars(r)[0] == [(2, 38, 12, "player")]
    assert onsets_ms(r)[0] == pytest.approx(4000, abs=0.001)


def test_each_channel_has_its_own_keys() -> None:
    r = running()
    r.play(press(60), ms(100))
    r.play(on_channel(1, press(60)), ms(600))
    r.play(lift(60), ms(1100))
    r.play(on_channel(1, lift(60)), ms(1600))
    r.run_until_ns(ms(2500))
    assert heard_bars(r)[0] == [(2, 60, 24, "player"), (14, 60, 24, "player")]


def test_a_note_held_for_long_or_over_a_locate_is_told_when_its_key_goes_up() -> None:
    r = running()
    play_note(r, 100, 60, 6000)
    assert events(r, "/rwkv/note/heard") == [(pytest.approx(0.2), 60, 80, LONGEST_STEPS / 12)]
    r.play(press(62, 70), ms(6600))
    r.run_until_ns(ms(7500))
    r.ask("/rwkv/transport/play")
    r.play(lift(62), ms(8000))
    assert events(r, "/rwkv/note/heard")[1:] == [
        (pytest.approx(13.2), 62, 70, pytest.approx(22 / 12))
    ]


# --- echoes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", [lambda v: v, lambda v: v // 2 + 30])
def test_what_is_sent_on_does_not_go_round_nor_is_it_heard_twice(
    curve: Callable[[int], int],
) -> None:
    r = running(thru=1)
    played = [(100, press(60)), (400, lift(60)), (500, press(60, 40)), (600, lift(60))]
    run_looped(r, 1000, played, curve)
    assert [m for _, m in r.sent] == [m for _, m in played]
    r.run_until_ns(ms(2500))
    assert heard_bars(r)[0] == [(2, 60, 7, "player"), (12, 60, 2, "player")]


def test_a_pedal_does_not_go_round() -> None:
    r = running(thru=1)
    played = [(100, PEDAL_DOWN), (400, PEDAL_UP), (450, PEDAL_DOWN), (700, PEDAL_UP)]
    run_looped(r, 1000, played)
    assert [m for _, m in r.sent] == [m for _, m in played]


WHEEL = [bytes((0xB0, 1, value)) for value in (10, 20, 30, 20, 10, 10)]
BEND = [bytes((0xE0, 0, value)) for value in (64, 70, 64)]
PRESSURE = [bytes((0xD0, value)) for value in (5, 9, 5)]


def test_controllers_do_not_go_round_while_notes_come_back() -> None:
    """What a player says twice is sent on as often, also while the first is still on its way."""
    r = running(thru=1)
    played = [(100, press(60)), (150, lift(60))]
    played += [(200 + 3 * n, m) for n, m in enumerate([*WHEEL, *BEND, *PRESSURE])]
    run_looped(r, 1000, played)
    sent = [m for _, m in r.sent]
    for kind in (WHEEL, BEND, PRESSURE):
        assert [m for m in sent if m[0] == kind[0][0]] == kind
    assert len(sent) == len(played)


def test_controllers_that_went_round_stop_with_the_first_note() -> None:
    r = running(thru=1)
    run_looped(r, 500, [(100, WHEEL[0]), (200, press(60)), (300, lift(60))])
    assert max(t for t, m in r.sent if m == WHEEL[0]) < ms(220)


def test_without_a_loop_everything_is_sent_on() -> None:
    r = running(thru=1)
    clicks = [bytes((0xB0, 20, 1))] * 5  # an encoder that tells steps
    for n, message in enumerate([press(60), lift(60), *clicks, *WHEEL]):
        r.play(message, ms(100 + 8 * n))
    r.run_until_ns(ms(500))
    assert [m for _, m in r.sent] == [press(60), lift(60), *clicks, *WHEEL]


def test_a_loop_that_is_cut_is_noticed() -> None:
    r = running(thru=1)
    run_looped(r, 300, [(100, press(60)), (150, lift(60))])
    for n, message in enumerate([press(62), *WHEEL, *WHEEL]):
        r.play(message, ms(400 + 60 * n))
    r.run_until_ns(r.clock.now_ns() + ms(10))
    assert [m for _, m in r.sent][3:] == [*WHEEL, *WHEEL]


def test_an_echo_with_a_velocity_curve_is_not_the_player() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    run_looped(r, 7000, [(100, press(50)), (400, lift(50))], lambda v: v // 2 + 30)
    assert len(onsets_ms(r)) == 4
    assert {n[3] for n in heard_bars(r)[2]} == {"model"}
    assert hung(r) == set()


def test_clicks_do_not_go_round() -> None:
    r = running(thru=1, metronome=1)
    run_looped(r, 1990)
    assert len(onsets_ms(r)) == 4


def test_of_a_key_that_is_down_another_velocity_than_ours_is_the_players() -> None:
    r = running(bars=1)
    r.conductor.trigger(r.clock.now_ns())
    r.play(press(61), ms(1900))
    r.play(press(61, 99), ms(2520))  # ours was struck at 2500
    r.run_until_ns(ms(5000))
    assert [n[3] for n in heard_bars(r)[1] if n[1] == 61] == ["model", "player"]


def test_a_drum_is_no_echo_of_our_bass_and_a_layer_none_of_the_other() -> None:
    r = running(bars=1, thru=1)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2010))
    sent = len(r.sent)
    notes = [
        bytes((0x99, 60, 80)),
        bytes((0x99, 60, 30)),  # a flam
        press(72),
        on_channel(1, press(72)),
    ]
    for n, note in enumerate(notes):
        r.play(note, ms(2020 + 5 * n))
    r.run_until_ns(ms(2050))
    assert [m for _, m in r.sent[sent:] if m[0] & 0xF0 == 0x90] == notes


def test_a_key_that_goes_up_while_its_echo_sounds_is_the_players() -> None:
    r = running(bars=1)
    r.conductor.set_mode("auto", 1, 1)
    play_note(r, 100, 50, 300)
    r.play(press(60, 79), ms(4005))  # the echo of ours, which sounds until 4458
    r.play(press(60, 99), ms(4100))
    assert hung(r) == {60}
    r.play(lift(60), ms(4200))
    r.run_until_ns(ms(4210))
    assert hung(r) == set()


# --- overlap and once --------------------------------------------------------------------------


def test_an_early_downbeat_is_of_the_bar_after_the_completion() -> None:
    r = running(bars=1, overlap="ignore")
    r.conductor.trigger(r.clock.now_ns())
    half_step_ms = BEAT_MS / 24
    play_note(r, 4000 - half_step_ms - 3, 50, 5)
    play_note(r, 4000 - half_step_ms + 3, 51, 200)
    r.run_until_ns(ms(6500))
    assert heard_bars(r)[2] == [(0, 51, 5, "player")]
    assert r.conductor.listener.ignored == {"overlap": 1}


def test_an_early_downbeat_of_the_next_completion_is_left_to_it() -> None:
    r = running(bars=1, overlap="ignore")
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2500))
    r.conductor.trigger(r.clock.now_ns())
    play_note(r, 3990, 51, 200)
    r.run_until_ns(ms(6500))
    assert {n[3] for n in heard_bars(r)[2]} == {"model"}


def test_overlap_for_one_completion() -> None:
    r = running(bars=1)
    r.ask("/rwkv/once/overlap", "ignore")
    for start_ms, heard in [(2000, False), (6000, True)]:
        r.conductor.trigger(r.clock.now_ns())
        play_note(r, start_ms + 600, 90, 300)
        r.run_until_ns(ms(start_ms + 2500))
        bar = heard_bars(r)[start_ms // 2000]
        assert any(n[1] == 90 for n in bar) is heard


def test_overlap_for_good_acts_on_what_plays() -> None:
    r = running(bars=1)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2100))
    r.ask("/rwkv/set/overlap", "interrupt")
    play_note(r, 2600, 90, 300)
    r.run_until_ns(ms(4000))
    assert len(onsets_ms(r)) == 2


@pytest.mark.parametrize("mode", ["trade", "auto"])
def test_a_once_parameter_is_for_the_next_turn_too(mode: str) -> None:
    r = running(bars=1)
    r.ask("/rwkv/once/channel_out", 3)
    r.conductor.set_mode(mode, 2, 1)
    for at_ms in (100, 8100):
        play_note(r, at_ms, 50, 200)
    r.run_until_ns(ms(13_900))
    assert {m[0] for t, m in r.sent if t < ms(8100)} == {0x92, 0x82}
    assert {m[0] for t, m in r.sent if t > ms(8100)} == {0x90, 0x80}
