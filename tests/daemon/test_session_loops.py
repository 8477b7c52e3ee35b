"""A DAW that plays a loop: from its last bar line to its first the music goes on."""

from __future__ import annotations

from typing import Any

import pytest
from performances import fresh_state
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import BEAT_MS, events, heard_bars, hung, lift, ms, onsets_ms, press, running

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter

LOOP_BEATS = 16
LOOP_MS = LOOP_BEATS * BEAT_MS
REPORT_MS = 50


class Host:
    """Plays bars 0 to 3 for ever, and tells its position every 50 ms: after `late_ms` of them."""

    def __init__(self, late_ms: int, **generation: Any) -> None:
        transport = Transport(120.0, None, "osc")
        self.r = Rehearsal(ScriptedModel(), Generation(**{"bars": 2, **generation}), transport)
        self._next_ms = late_ms

    def run_until_ms(self, end_ms: float) -> None:
        while self._next_ms <= end_ms:
            self.r.run_until_ns(ms(self._next_ms))
            self.r.ask("/rwkv/transport/position", (self._next_ms / BEAT_MS) % LOOP_BEATS)
            if not self.r.transport.playing:
                self.r.ask("/rwkv/transport/play")
            self._next_ms += REPORT_MS
        self.r.run_until_ns(ms(end_ms))


@pytest.mark.parametrize("late_ms", [0, 5, 30, 45])
@pytest.mark.parametrize("trigger_ms", [6500, 7900])
def test_a_completion_that_starts_with_the_loop_plays_on(late_ms: int, trigger_ms: int) -> None:
    host = Host(late_ms)
    host.run_until_ms(trigger_ms)
    host.r.conductor.trigger(host.r.clock.now_ns())
    host.run_until_ms(14_100)
    expected = [LOOP_MS + k * BEAT_MS for k in range(8)]
    assert onsets_ms(host.r) == pytest.approx(expected, abs=2)
    ((_, bars, notes, _, dropped, _),) = events(host.r, "/rwkv/done")
    assert (bars, notes, dropped) == (2, 8, 0)
    assert hung(host.r) == set()
    heard = host.r.conductor.assembler.bars
    assert [bar.number for bar in heard] == [0, 1, 2, 3, 0, 1, 2]
    assert [len(bar.notes) for bar in heard] == [0, 0, 0, 0, 4, 4, 0]
    assert heard_bars(host.r)[4] == [(12 * k, 60 + k, 11, "model") for k in range(4)]
    assert host.r.worker.session.fork() == fresh_state(host.r, ScriptedModel())


def test_a_queued_completion_follows_one_that_starts_with_the_loop() -> None:
    host = Host(30, bars=1)
    host.run_until_ms(7000)
    host.r.conductor.trigger(host.r.clock.now_ns())
    host.run_until_ms(LOOP_MS + 10)
    host.r.conductor.trigger(host.r.clock.now_ns())
    host.run_until_ms(LOOP_MS + 5000)
    expected = [LOOP_MS + k * BEAT_MS for k in range(8)]
    assert onsets_ms(host.r) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("late_ms", [0, 30])
def test_a_completion_in_the_middle_ends_where_the_loop_does(late_ms: int) -> None:
    host = Host(late_ms, bars=4)
    host.run_until_ms(5000)
    host.r.conductor.trigger(host.r.clock.now_ns())
    host.run_until_ms(LOOP_MS + 3000)
    assert [t for t in onsets_ms(host.r) if t > LOOP_MS + late_ms] == []
    assert len(events(host.r, "/rwkv/done")) == 1
    assert hung(host.r) == set()


@pytest.mark.parametrize("late_ms", [0, 30])
def test_trade_takes_its_turns_from_loop_to_loop(late_ms: int) -> None:
    host = Host(late_ms)
    host.r.conductor.set_mode("trade", 4, 4)
    host.run_until_ms(4 * LOOP_MS + 3000)
    expected = [(2 * k + 1) * LOOP_MS + n * BEAT_MS for k in range(2) for n in range(16)]
    assert onsets_ms(host.r) == pytest.approx(expected, abs=2)
    assert hung(host.r) == set()


@pytest.mark.parametrize("late_ms", [0, 30])
def test_a_key_struck_just_before_the_loops_end_is_on_its_first_line(late_ms: int) -> None:
    host = Host(late_ms)
    host.run_until_ms(LOOP_MS - 10)
    host.r.play(press(50))
    host.run_until_ms(LOOP_MS + 490)
    host.r.play(lift(50))
    host.run_until_ms(LOOP_MS + 4000)
    assert [bar.number for bar in host.r.conductor.assembler.bars] == [0, 1, 2, 3, 0, 1]
    assert heard_bars(host.r)[4] == [(0, 50, 12, "player")]
    assert host.r.worker.session.fork() == fresh_state(host.r, ScriptedModel())


def test_a_note_that_goes_out_just_before_a_jump_is_heard_in_the_bar_that_it_was_in() -> None:
    r = running(meter=Meter(3, 4), bars=3)
    r.run_until_ns(ms(5000))
    r.transport.set_meter(Meter(4, 4), r.clock.now_ns())  # from bar 4 on
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(8498))  # bar 5 has begun on beat 16
    r.clock.advance_to_ns(ms(8500.5))  # before the loop looks again
    r.output.pump()
    assert r.sent[-1] == (r.clock.now_ns(), press(61, 79))
    r.transport.start_internal(2.0, r.clock.now_ns())
    r.conductor.follow_transport(r.clock.now_ns())
    r.run_until_ns(ms(12_000))
    heard = {bar.serial: bar for bar in r.conductor.assembler.bars}
    assert [(n.onset, n.pitch) for n in heard[5].notes] == [(0, 60), (12, 61)]
    assert [str(bar.meter) for bar in heard.values()][:6] == ["3/4"] * 4 + ["4/4"] * 2
    assert events(r, "/rwkv/error") == []
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())
