"""The action that tells REAPER's bars, under real Lua; and what the service makes of them, together
with REAPER's own BEAT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from bridge_service import BridgeService
from reaper_bridge import Line, Reaper, kinds, needs_lua
from rwkv_music_daemon.transport import BarSpan, Located, Transport

from rwkv_music.music import Meter

S = 1_000_000_000
POLL_S, TEMPO = 0.03, 120.0  # as the stand-in's `defer`
BEATS_A_POLL = POLL_S * TEMPO / 60
SONG = [[0, 4, 4], [16, 3, 4], [28, 6, 8], [34, 4, 4]]  # from beat 34, bar 10, on 4/4 again
Place = tuple[bool, float]  # whether it plays, and where
Told = tuple[float, BarSpan]  # when the action ran the program, in seconds, and with what


def bar_at(beat: float) -> BarSpan:
    """The bar of that song."""
    number = 0
    for (first, numerator, denominator), (following, *_) in pairwise([*SONG, [10**6, 0, 0]]):
        meter = Meter(numerator, denominator)
        if beat < following:
            bars = int((beat - first) // meter.beats)
            return BarSpan(number + bars, first + bars * meter.beats, meter)
        number += round((following - first) / meter.beats)
    raise AssertionError(beat)


def roll(beat: float, seconds: float) -> list[Place]:
    return [(True, beat + k * BEATS_A_POLL) for k in range(round(seconds / POLL_S))]


def stand(beat: float, seconds: float) -> list[Place]:
    return [(False, beat)] * round(seconds / POLL_S)


def told(happened: list[Line]) -> Iterator[Told]:
    """The bars that the program was run with, and at which time."""
    seconds = 0.0
    for kind, *rest in happened:
        if kind == "moment":
            seconds = int(rest[0]) * POLL_S
        elif kind == "run" and not rest[0].endswith(" ctl ping"):
            *_, number, line, numerator, denominator = rest[0].split()
            assert " ctl transport/bar " in rest[0]
            meter = Meter(int(numerator), int(denominator))
            yield seconds, BarSpan(int(number), float(line), meter)


def follow(reaper: Reaper, places: list[Place], **scenario: Any) -> list[Told]:
    """What the action tells while REAPER is at these places."""
    reaper.answer_with(0, "")
    moments = [{"play_state": int(plays), "beat": beat} for plays, beat in places]
    happened = reaper.run(
        "rwkv_follow_meter.lua", **{"markers": SONG, "moments": moments, **scenario}
    )
    return list(told(happened))


def lead(transport: Transport, places: list[Place], told: list[Told], late_s: float) -> list[float]:
    """What REAPER sends at each of these places, a start before the BEAT that it is at and a BEAT
    only where it is another one; and what was told, so much later. Returns when the transport
    jumped."""
    jumps, waiting, played, last = [], list(told), False, 0.0
    transport.osc_tempo(TEMPO, 0)
    for poll, (plays, beat) in enumerate(places):
        now_s = poll * POLL_S
        now_ns = round(now_s * S)
        while waiting and waiting[0][0] + late_s <= now_s:
            transport.osc_bar(waiting.pop(0)[1], now_ns)
        if plays != played:
            (transport.play if plays else transport.stop)(now_ns)
            played = plays
        if beat != last:
            bar, last = bar_at(beat), beat
            hundredths = (beat - bar.start_beat) * bar.meter.denominator / 4 * 100 // 1
            transport.osc_bbt(bar.number + 1, 1 + hundredths / 100, now_ns)
        transport.tick(now_ns)
        jumps += [now_s for change in transport.take_changes() if isinstance(change, Located)]
    return jumps


@needs_lua
def test_a_bar_is_told_once_and_the_next_one_for_certainty(
    make_reaper: Callable[..., Reaper],
) -> None:
    bars = follow(make_reaper(None), roll(1.0, 8.0), markers=[[0, 6, 8]])
    assert [bar for _, bar in bars] == [BarSpan(0, 0.0, Meter(6, 8)), BarSpan(1, 3.0, Meter(6, 8))]


@needs_lua
def test_another_meter_is_told_before_it_begins(make_reaper: Callable[..., Reaper]) -> None:
    bars = follow(make_reaper(None), roll(8.0, 6.0))
    ((told_s, bar),) = [(t, bar) for t, bar in bars if bar.number == 4]
    assert bar == BarSpan(4, 16.0, Meter(3, 4))
    assert told_s == pytest.approx(4.0 - 0.5, abs=2 * POLL_S)


@needs_lua
def test_a_cursor_that_is_moved_runs_the_program_only_where_that_is_news(
    make_reaper: Callable[..., Reaper],
) -> None:
    places = [(False, 3.0 * k / 10) for k in range(60)]  # dragged over two meters
    assert len(follow(make_reaper(None), places)) == 2


@needs_lua
def test_bars_are_numbered_as_reaper_shows_them(make_reaper: Callable[..., Reaper]) -> None:
    bars = follow(make_reaper(None), stand(17.0, 0.1), first_bar=5)
    assert bars == [(0.0, BarSpan(8, 16.0, Meter(3, 4)))]


@needs_lua
def test_before_bar_1_the_meter_is_told_alone(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "")
    happened = reaper.run(
        "rwkv_follow_meter.lua", numerator=6, denominator=8, first_bar=-3, moments=[{"beat": 1.0}]
    )
    _, (line, wait) = kinds(happened, "run")
    assert line.endswith("ctl transport/meter 6 8")
    assert wait == "-1"


@needs_lua
def test_windows_opens_no_console_where_a_bar_is_told(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "")
    happened = reaper.run("rwkv_follow_meter.lua", moments=[{"beat": 1.0}], os="Win64")
    assert kinds(happened, "run")[-1][1] == "-2"


@needs_lua
def test_without_a_service_it_says_so_and_is_not_lit(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(1, "error: nobody answers at 127.0.0.1:9: is it running there?")
    happened = reaper.run("rwkv_follow_meter.lua", moments=[{"beat": 1.0}] * 3)
    problem = "nobody answers at 127.0.0.1:9: is it running there?"
    assert kinds(happened, "box") == [["RWKV Music", problem]]
    assert kinds(happened, "lit") == []
    assert len(kinds(happened, "run")) == 1


@needs_lua
@pytest.mark.parametrize("before_7", [False, True])
def test_its_button_is_lit_while_it_runs(
    before_7: bool, make_reaper: Callable[..., Reaper]
) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "")
    happened = reaper.run("rwkv_follow_meter.lua", moments=[{"beat": 0.0}] * 3, before_7=before_7)
    assert kinds(happened, "lit") == [["32060", "1"], ["32060", "0"]]
    assert kinds(happened, "options") == ([] if before_7 else [["1"]])  # run again, it ends


@needs_lua
def test_the_services_own_program_takes_what_is_told(make_reaper: Callable[..., Reaper]) -> None:
    service = BridgeService()
    make_reaper(service).run("rwkv_follow_meter.lua", markers=SONG, moments=[{"beat": 29.5}])
    ends_s = time.monotonic() + 20
    while not service.named("transport/bar"):
        assert time.monotonic() < ends_s, "the program did not come through"
        time.sleep(0.01)
    assert service.named("transport/bar") == [(8, 28.0, 6, 8)]


@needs_lua
def test_after_a_rest_the_music_starts_once_where_reaper_does(
    make_reaper: Callable[..., Reaper],
) -> None:
    """Also after a pause, at which REAPER tells the place of its edit cursor."""
    paused = [*roll(18.0, 2.0), *stand(17.0, 5.0), *roll(22.0, 2.0)]
    places = [*stand(17.0, 5.0), *paused]
    transport = Transport(TEMPO)
    bars = follow(make_reaper(None), places)
    jumps = lead(transport, places, bars, 0.3)
    assert [jump for jump in jumps if jump > 0.5 and not 7.0 <= jump < 8.0] == []
    now_ns = round((len(places) - 1) * POLL_S * S)
    assert transport.beat_at(now_ns) == pytest.approx(places[-1][1], abs=0.05)


LATE_S = [0.1, 0.3, 0.45]  # what the program may take to start


@needs_lua
@pytest.mark.parametrize("late_s", LATE_S)
def test_a_song_of_several_meters_is_followed_without_a_jump(
    late_s: float, make_reaper: Callable[..., Reaper]
) -> None:
    places = roll(0.0, 21.0)
    transport = Transport(TEMPO)
    bars = follow(make_reaper(None), places)
    assert lead(transport, places, bars, late_s) == []
    for beat in (1.0, 15.0, 17.0, 27.0, 29.0, 33.0, 35.0, 41.0):
        assert transport.bar_at(beat) == bar_at(beat)


@needs_lua
@pytest.mark.parametrize("late_s", LATE_S)
@pytest.mark.parametrize("start", [0.0, 20.0, 36.0])
@pytest.mark.parametrize("place", [1.0, 14.5, 18.5, 26.9, 29.75, 33.5, 41.25])
def test_after_a_rolling_jump_the_bar_is_reapers_at_once(
    start: float, place: float, late_s: float, make_reaper: Callable[..., Reaper]
) -> None:
    """At once is when the program has run, which may be in the bar after the one jumped into."""
    before, after = [*stand(start, 0.3), *roll(start, 3.0)], roll(place, 3.0)
    transport = Transport(TEMPO)
    bars = follow(make_reaper(None), [*before, *after])
    seen = len(before) + round((late_s + 0.3) / POLL_S)
    lead(transport, [*before, *after][:seen], bars, late_s)
    beat = [*before, *after][seen - 1][1]
    now_ns = round((seen - 1) * POLL_S * S)
    assert transport.beat_at(now_ns) == pytest.approx(beat, abs=0.15)
    assert transport.bar_at(transport.beat_at(now_ns)) == bar_at(beat)


@needs_lua
@pytest.mark.parametrize("late_s", LATE_S)
@pytest.mark.parametrize(("first", "last"), [(19.0, 25.0), (16.0, 28.0), (12.0, 22.0)])
def test_a_loop_jumps_once_a_turn_and_keeps_the_bars(
    first: float, last: float, late_s: float, make_reaper: Callable[..., Reaper]
) -> None:
    """Also where another meter begins behind the loop, or within."""
    turn = roll(first, (last - first) / 2)
    places = [*stand(first, 0.6), *turn * 4]
    transport = Transport(TEMPO)
    bars = follow(make_reaper(None), places, loop=[first, last])
    jumps = [jump for jump in lead(transport, places, bars, late_s) if jump > 0.6]
    turns = [0.6 + k * len(turn) * POLL_S for k in range(1, 4)]
    assert jumps == pytest.approx(turns, abs=2 * POLL_S)
    now_ns = round((len(places) - 1) * POLL_S * S)
    assert transport.bar_at(transport.beat_at(now_ns)) == bar_at(places[-1][1])
