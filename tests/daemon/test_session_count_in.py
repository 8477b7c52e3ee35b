"""The count-in: bars of clicks before beat 0, in which nothing of ours begins."""

from __future__ import annotations

from typing import Any

import pytest
from performances import fresh_state
from rwkv_music_daemon.rehearsal import Rehearsal
from session_stage import events, heard_bars, hung, ms, play_note, press, rehearsal

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.timebase import NS_PER_MS

BAR_MS, BEAT_MS = 2000, 500
CLICK, ACCENT = 77, 76


def counting(count_in: int = 1, meter: Meter | None = None, **generation: Any) -> Rehearsal:
    """Started at 0 ns by `/rwkv/transport/play`."""
    r = rehearsal(meter=meter, count_in=count_in, **generation)
    r.ask("/rwkv/transport/play")
    r.step()
    return r


def clicks(r: Rehearsal) -> list[tuple[float, int]]:
    return [(round(t / NS_PER_MS), m[1]) for t, m in r.sent if m[0] == 0x99 and m[2]]


def onsets(r: Rehearsal) -> list[float]:
    return [t / NS_PER_MS for t, m in r.sent if m[0] == 0x90 and m[2]]


@pytest.mark.parametrize(
    ("meter", "count_in", "expected"),
    [
        (Meter(4, 4), 1, [ACCENT, CLICK, CLICK, CLICK]),
        (Meter(3, 4), 2, [ACCENT, CLICK, CLICK] * 2),
        (Meter(6, 8), 1, [ACCENT, CLICK, CLICK]),
    ],
)
def test_its_bars_are_clicked_and_no_more(meter: Meter, count_in: int, expected: list[int]) -> None:
    r = counting(count_in, meter)
    r.run_until_ns(ms(5 * BAR_MS))
    assert [pitch for _, pitch in clicks(r)] == expected
    assert [t for t, _ in clicks(r)] == pytest.approx(
        [BEAT_MS * k for k in range(len(expected))], abs=2
    )
    assert hung(r) == set()


def test_with_the_metronome_the_clicks_go_on() -> None:
    r = counting(1, metronome=1)
    r.run_until_ns(ms(2 * BAR_MS - 10))
    assert [t for t, _ in clicks(r)] == pytest.approx([BEAT_MS * k for k in range(8)], abs=2)


def test_bar_0_begins_after_it() -> None:
    r = counting(2)
    r.run_until_ns(ms(BAR_MS))
    r.ask("/rwkv/status")
    ((_, status),) = [reply for reply in r.replies() if reply[0] == "/rwkv/status"]
    assert status[:3] == ("listening", -1, pytest.approx(-4.0, abs=0.01))
    r.run_until_ns(ms(3.5 * BAR_MS))
    assert r.transport.beat_at(ms(2 * BAR_MS)) == 0.0
    assert events(r, "/rwkv/bar") == [(0, 0)]
    assert len(r.conductor.assembler.bars) == 1  # nobody played: the count-in was no silence


def test_a_trigger_that_starts_the_clock_is_counted_in() -> None:
    r = rehearsal(bars=1, count_in=1)
    r.ask("/rwkv/trigger")
    assert r.replies() == [("/rwkv/accepted", (1, 0))]
    r.run_until_ns(ms(2 * BAR_MS))
    first_click = clicks(r)[0][0]
    assert len(clicks(r)) == 4
    assert onsets(r)[0] == pytest.approx(first_click + BAR_MS, abs=1)


def test_for_one_request_only() -> None:
    r = rehearsal(bars=1)
    r.ask("/rwkv/once/count_in", 1)
    r.ask("/rwkv/trigger")
    r.run_until_ns(ms(BAR_MS / 2))
    assert onsets(r) == []
    r.run_until_ns(ms(1.5 * BAR_MS))
    assert onsets(r)[0] > BAR_MS
    assert [pitch for _, pitch in clicks(r)] == [ACCENT, CLICK, CLICK, CLICK]


@pytest.mark.parametrize(("count_in", "metronome"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_nothing_is_clicked_while_a_slow_model_is_waited_for(count_in: int, metronome: int) -> None:
    r = rehearsal(bars=1, count_in=count_in, metronome=metronome)
    r.conductor.worker_up("slow", ms(1200))
    r.ask("/rwkv/trigger")
    r.run_until_ns(ms(1200 + count_in * BAR_MS + BEAT_MS / 2))
    expected = [ACCENT, CLICK, CLICK, CLICK] * count_in + [ACCENT] * metronome
    assert [pitch for _, pitch in clicks(r)] == expected


@pytest.mark.parametrize("quantize", ["bar", "beat", "now"])
def test_a_trigger_in_a_count_in_waits_for_its_end(quantize: str) -> None:
    r = counting(2, bars=1, quantize=quantize)
    r.run_until_ns(ms(700))
    r.ask("/rwkv/trigger")
    assert r.replies()[-1] == ("/rwkv/accepted", (1, 0))
    r.run_until_ns(ms(2.2 * BAR_MS))
    assert onsets(r)[0] == pytest.approx(2 * BAR_MS, abs=1)


def test_a_pickup_is_heard_where_it_was_played() -> None:
    r = counting(1)
    play_note(r, BAR_MS - 250, 60, 125)  # an eighth before the line
    play_note(r, BAR_MS + 500, 64, 125)
    r.run_until_ns(ms(2.5 * BAR_MS))
    assert heard_bars(r)[:2] == [[(42, 60, 3, "player")], [(12, 64, 3, "player")]]
    assert events(r, "/rwkv/bar")[:2] == [(-1, 1), (0, 1)]
    assert [beat for beat, *_ in events(r, "/rwkv/note/heard")] == pytest.approx([-0.5, 1.0])


def test_a_pickup_is_heard_before_a_downbeat_of_ours_that_was_sent_before_it() -> None:
    r = rehearsal(bars=1, count_in=1, nudge_ms=-500)
    r.ask("/rwkv/trigger")
    start_ms = r.transport.ns_at(0.0) / NS_PER_MS
    play_note(r, start_ms - 300, 71, 125)
    r.run_until_ns(ms(start_ms + 1.2 * BAR_MS))
    assert onsets(r)[0] == pytest.approx(start_ms - 500, abs=1)
    bars = r.conductor.assembler.bars
    assert [bar.number for bar in bars] == [-1, 0]
    assert [n[1] for n in heard_bars(r)[0]] == [71]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_nobody_plays_before_a_downbeat_that_is_sent_early_and_that_is_no_silence() -> None:
    r = rehearsal(bars=1, count_in=1, nudge_ms=-500)
    r.ask("/rwkv/trigger")
    r.run_until_ns(ms(2.2 * BAR_MS))
    assert events(r, "/rwkv/bar") == [(0, 0)]
    assert [bar.number for bar in r.conductor.assembler.bars if bar.notes or bar.is_silence] == [0]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_a_note_on_the_last_half_step_is_on_the_downbeat() -> None:
    r = counting(1)
    play_note(r, BAR_MS - 15, 60, 125)
    r.run_until_ns(ms(2.5 * BAR_MS))
    assert heard_bars(r)[0] == [(0, 60, 3, "player")]
    assert events(r, "/rwkv/bar")[0] == (0, 1)


def test_a_note_that_starts_the_clock_is_the_downbeat() -> None:
    r = rehearsal(count_in=2)
    r.play(press(60), ms(1000))
    r.run_until_ns(ms(1500))
    assert clicks(r) == []
    assert r.transport.beat_at(ms(1500)) == pytest.approx(1.0)


def test_stop_ends_it() -> None:
    r = counting(1)
    r.run_until_ns(ms(700))
    r.ask("/rwkv/transport/stop")
    r.run_until_ns(ms(2 * BAR_MS))
    assert len(clicks(r)) == 2
    assert r.conductor.state == "idle"


def test_continue_has_none() -> None:
    r = counting(1)
    r.run_until_ns(ms(2 * BAR_MS + 100))
    r.ask("/rwkv/transport/stop")
    before = len(clicks(r))
    r.ask("/rwkv/transport/continue")
    r.run_until_ns(ms(4 * BAR_MS))
    assert len(clicks(r)) == before


def test_turns_begin_after_it() -> None:
    r = rehearsal(count_in=1)
    r.ask("/rwkv/mode", "trade", 1, 1)
    r.ask("/rwkv/transport/play")
    r.run_until_ns(ms(4.5 * BAR_MS))
    assert onsets(r)[0] == pytest.approx(2 * BAR_MS, abs=1)
    assert max(onsets(r)[:4]) < 3 * BAR_MS


def test_a_meter_that_is_set_meanwhile_holds_from_beat_0() -> None:
    r = counting(1)
    r.ask("/rwkv/transport/meter", 3, 4)
    r.run_until_ns(ms(BAR_MS + 3 * BEAT_MS + 100))
    assert [r.transport.bar(number).start_beat for number in (0, 1, 2)] == [0.0, 3.0, 6.0]
    assert events(r, "/rwkv/bar") == [(0, 0)]
