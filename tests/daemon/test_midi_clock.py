"""MIDI clock: how near the filtered line is to the truth, and that the count stays exact."""

from __future__ import annotations

import pytest
from clock_ticks import CLEAN_MS, COARSE_MS, START_NS, follow, percentile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rwkv_music_daemon.transport import Located, Started, Stopped, Transport

SEEDS = range(4)
TICK_NS = 20_833_333


@pytest.mark.parametrize("tempo_bpm", [60.04, 120.08, 200.14])
@pytest.mark.parametrize(("period_ms", "allowed_ms"), [(CLEAN_MS, 0.2), (COARSE_MS, 0.6)])
def test_beats_are_told_where_they_are(
    tempo_bpm: float, period_ms: float, allowed_ms: float
) -> None:
    errors = []
    for seed in SEEDS:
        followed = follow(lambda beat: tempo_bpm, 24, seed, period_ms)
        errors += [ms for beat, ms in followed.line_errors_ms.items() if beat >= 4]
        assert followed.went_back == 0
        assert followed.worst_tempo(tempo_bpm, 4, 24) < 0.001
    assert percentile(errors, 0.99) < allowed_ms


def test_the_first_beats_from_nothing_are_good_already() -> None:
    errors = []
    for seed in range(20):
        followed = follow(lambda beat: 133.3, 5, seed)
        errors += followed.line_errors_ms.values()
    assert percentile(errors, 0.99) < 0.5


@pytest.mark.parametrize("step", [1.05, 0.95, 1.2, 0.8])
def test_two_beats_after_a_step_the_tempo_is_right(step: float) -> None:
    for seed in SEEDS:
        begins = 12 + seed / 24
        followed = follow(lambda beat, b=begins: 120 * (step if beat >= b else 1), 20, seed)
        allowed = 0.001 if abs(step - 1) < 0.1 else 0.002
        assert followed.worst_tempo(120 * step, begins + 2, begins + 3) < allowed
        assert abs(followed.line_errors_ms[15]) < 1
        assert followed.went_back == 0


@pytest.mark.parametrize("step", [1.05, 0.95])
def test_so_it_is_through_the_coarse_periods_of_a_driver(step: float) -> None:
    # Where the change was shows only beats later: it is looked for again until then.
    for seed in range(12):
        begins = 12 + seed / 12
        tempo_of = lambda beat, b=begins: 120 * (step if beat >= b else 1)  # noqa: E731
        followed = follow(tempo_of, 17, seed, COARSE_MS)
        assert followed.worst_tempo(120 * step, begins + 2, begins + 3) < 0.001


@pytest.mark.parametrize("step", [2.0, 1.5, 0.6, 0.5])
def test_a_wild_step_is_followed_and_counted(step: float) -> None:
    for seed in SEEDS:
        followed = follow(lambda beat: 120 * (step if beat >= 12 else 1), 24, seed)
        assert followed.ticks_counted == pytest.approx(24 * 24 - 1, abs=0.2)
        # 72 a minute is nearly a whole number of periods: its lateness hides a slope for long.
        assert followed.worst_tempo(120 * step, 16, 24) < 0.002
        assert followed.went_back == 0


@pytest.mark.parametrize(
    "tempo_of",
    [lambda beat: 120 - max(0, min(beat - 8, 8)) * 5, lambda beat: 100 + 2 * beat],
    ids=["ritardando", "accelerando"],
)
def test_a_tempo_that_flows_is_followed(tempo_of) -> None:
    for seed in SEEDS:
        followed = follow(tempo_of, 24, seed)
        late = [ms for beat, ms in followed.line_errors_ms.items() if beat >= 4]
        assert percentile(late, 0.99) < 3
        assert followed.went_back == 0


ACCIDENTS = {
    "one dropped": {"dropped": (300,)},
    "three dropped in a row": {"dropped": (300, 301, 302)},
    "dropped now and then": {"dropped": (300, 340, 341, 500)},
    "one twice at once": {"doubled": {300: 0.2}},
    "one twice, half a tick later": {"doubled": {300: 10.4}},
    "four at double speed": {"doubled": dict.fromkeys(range(300, 304), 10.4)},
    "one late": {"late": {300: 15}},
    "six late, all at once": {"late": {k: (306 - k) * 20 for k in range(300, 306)}},
}


@pytest.mark.parametrize("period_ms", [CLEAN_MS, COARSE_MS])
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_accidents_move_nothing(accident: str, period_ms: float) -> None:
    for seed in SEEDS:
        followed = follow(lambda beat: 120.08, 24, seed, period_ms, **ACCIDENTS[accident])
        assert followed.ticks_counted == pytest.approx(24 * 24 - 1, abs=0.2)
        near = [ms for beat, ms in followed.line_errors_ms.items() if beat >= 8]
        assert percentile(near, 1) < 1
        assert followed.went_back == 0


@pytest.mark.parametrize("pause_ms", [2.0, 10.0, 30.0, 52.0, 170.0])
def test_a_pause_is_no_dropped_tick(pause_ms: float) -> None:
    for seed in SEEDS:
        followed = follow(lambda beat: 120.08, 24, seed, paused={300: pause_ms})
        assert followed.ticks_counted == pytest.approx(24 * 24 - 1, abs=0.2)
        near = [ms for beat, ms in followed.line_errors_ms.items() if beat >= 15]
        assert percentile(near, 1) < 1
        assert followed.went_back == 0


@pytest.mark.parametrize("pause_ms", [1.0, 2.0, 3.0, 5.0])
def test_a_short_pause_does_not_shake_the_tempo(pause_ms: float) -> None:
    for seed in SEEDS:
        followed = follow(lambda beat: 120.08, 24, seed, paused={300: pause_ms, 400: pause_ms})
        assert followed.worst_tempo(120.08, 8, 24) < 0.01


def test_a_clock_that_jumps_about_is_still_counted() -> None:
    # A period as long as a tick: nothing can be said about single ticks, everything about many.
    followed = follow(lambda beat: 150.0, 24, 1, period_ms=1024 / 48)
    assert followed.ticks_counted == pytest.approx(24 * 24 - 1, abs=1.5)
    assert followed.worst_tempo(150.0, 6, 24) < 0.01


@settings(max_examples=60)
@example([0] * 8 + [199_999_999, 0, 0, 0, 79_718_874, 0])
@example([0, 0, 0, 25_210_377, 63_061_082])
@example([0, 0, 8_260_525, 0, 12_264_942, 0, 138_238_467, 0])  # a beat ahead: too far to be bent
@given(st.lists(st.integers(0, 200_000_000), min_size=1, max_size=200))
def test_whatever_comes_the_position_never_goes_back_but_in_a_jump_that_is_told(
    gaps_ns: list[int],
) -> None:
    transport, t_ns, beat = Transport(), START_NS, 0.0
    transport.midi_start(t_ns)
    for gap_ns in gaps_ns:
        t_ns += gap_ns
        transport.midi_tick(t_ns)
        jumps = any(isinstance(change, Located) for change in transport.take_changes())
        assert jumps or transport.beat_at(t_ns) >= beat
        beat = transport.beat_at(t_ns)
        assert transport.beat_at(transport.ns_at(beat + 1)) == pytest.approx(beat + 1, abs=1e-6)
        assert 1 < transport.tempo_bpm < 1e6


def ticks(transport: Transport, first_ns: int, count: int) -> int:
    """Send so many; when the next one would come."""
    for k in range(count):
        transport.midi_tick(first_ns + k * TICK_NS)
    return first_ns + count * TICK_NS


def test_the_first_tick_after_start_is_beat_0() -> None:
    transport = Transport()
    transport.midi_start(0)
    assert not transport.playing
    ticks(transport, START_NS, 1)
    assert transport.playing
    assert [c for c in transport.take_changes() if isinstance(c, Started)] == [Started(0.0)]
    assert transport.beat_at(START_NS) == 0.0
    t_ns = ticks(transport, START_NS + TICK_NS, 47)
    assert transport.beat_at(t_ns) == pytest.approx(2.0, abs=1e-3)


def test_ticks_while_stopped_tell_the_tempo_and_nothing_else() -> None:
    transport = Transport(100.0)
    ticks(transport, START_NS, 48)
    assert not transport.playing
    assert transport.tempo_bpm == pytest.approx(120.0, rel=1e-4)
    assert transport.source == "midi_clock"


def test_stop_and_continue_lose_no_tick() -> None:
    transport = Transport()
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 30)
    transport.midi_stop(t_ns - TICK_NS + 1)
    assert [type(c) for c in transport.take_changes()][-1] is Stopped
    stood = transport.beat_at(t_ns + 10**9)
    assert stood == pytest.approx(29 / 24, abs=1e-3)
    t_ns = ticks(transport, t_ns, 12)  # a clock that runs on
    transport.midi_continue(t_ns - 1)
    ticks(transport, t_ns, 1)
    assert transport.beat_at(t_ns) == pytest.approx(30 / 24, abs=1e-3)
    assert transport.playing


def test_song_position_and_continue() -> None:
    transport = Transport()
    transport.midi_song_position(32, 0)
    assert transport.take_changes() == [Located(8.0)]
    transport.midi_continue(0)
    t_ns = ticks(transport, START_NS, 25)
    assert transport.beat_at(t_ns - TICK_NS) == pytest.approx(9.0, abs=1e-3)
    assert Started(8.0) in transport.take_changes()


def test_song_position_while_playing_is_a_jump() -> None:
    transport = Transport()
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 100)
    transport.take_changes()
    transport.midi_song_position(4, t_ns)
    ticks(transport, t_ns, 1)
    assert transport.take_changes() == [Located(1.0)]
    assert transport.beat_at(t_ns) == pytest.approx(1.0, abs=1e-3)
    assert transport.bar_at(transport.beat_at(t_ns)).number == 0


def test_start_while_playing_goes_back_to_the_start() -> None:
    transport = Transport()
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 100)
    transport.take_changes()
    transport.midi_start(t_ns - 1)
    ticks(transport, t_ns, 1)
    assert transport.take_changes() == [Located(0.0)]


def test_a_clock_that_dies_is_replaced_without_a_jump() -> None:
    transport = Transport(90.0)
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 96)
    transport.take_changes()
    expected = transport.beat_at(t_ns + 10 * TICK_NS)
    transport.tick(t_ns + 10 * TICK_NS)
    assert transport.source == "midi_clock"
    transport.tick(t_ns + 30 * TICK_NS)
    assert transport.source == "internal"
    assert transport.playing
    assert transport.beat_at(t_ns + 10 * TICK_NS) == pytest.approx(expected, abs=1e-6)
    assert transport.beat_at(t_ns + 34 * TICK_NS) == pytest.approx(expected + 1, abs=1e-3)
    assert transport.tempo_bpm == pytest.approx(120.0, rel=1e-3)


def test_a_clock_that_dies_stops_the_music_if_nothing_else_is_wanted() -> None:
    transport = Transport(source="midi_clock")
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 96)
    transport.tick(t_ns + 30 * TICK_NS)
    assert not transport.playing
    assert transport.source == "midi_clock"


@pytest.mark.parametrize("source", ["auto", "midi_clock"])
def test_a_clock_that_paused_is_followed_from_where_it_stood(source: str) -> None:
    transport = Transport(source=source)
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 97)
    for k in range(8):
        transport.tick(t_ns + k * 100_000_000)  # a plug-in is being loaded
    transport.take_changes()
    t_ns = ticks(transport, t_ns + 800_000_000, 49)
    assert transport.source == "midi_clock"
    assert transport.beat_at(t_ns - TICK_NS) == pytest.approx(145 / 24, abs=1e-3)
    moved = Located if source == "auto" else Started
    assert moved(pytest.approx(97 / 24)) in transport.take_changes()
    assert transport.bar_at(transport.beat_at(t_ns)).number == 1


@pytest.mark.parametrize("ending", ["stop of the clock", "stop of ours", "a minute"])
def test_a_clock_that_paused_and_is_over_starts_nothing(ending: str) -> None:
    transport = Transport(source="midi_clock")
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 96)
    transport.tick(t_ns + 800_000_000)
    if ending == "stop of the clock":
        transport.midi_stop(t_ns + 900_000_000)
    elif ending == "stop of ours":
        transport.stop(t_ns + 900_000_000)
    ticks(transport, t_ns + (61 if ending == "a minute" else 1) * 1_000_000_000, 48)
    assert not transport.playing


def test_a_song_position_during_a_pause_is_where_it_goes_on() -> None:
    transport = Transport()
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 96)
    transport.tick(t_ns + 800_000_000)
    transport.midi_song_position(64, t_ns + 900_000_000)
    ticks(transport, t_ns + 1_000_000_000, 1)
    assert transport.beat_at(t_ns + 1_000_000_000) == pytest.approx(16.0, abs=1e-3)


def test_a_clock_that_paused_for_long_is_followed_when_it_is_started() -> None:
    transport = Transport(source="midi_clock")
    transport.midi_start(0)
    t_ns = ticks(transport, START_NS, 96)
    transport.tick(t_ns + 800_000_000)
    transport.midi_start(t_ns + 100_000_000_000)
    ticks(transport, t_ns + 100_000_000_000, 1)
    assert transport.playing
    assert transport.beat_at(t_ns + 100_000_000_000) == 0.0
