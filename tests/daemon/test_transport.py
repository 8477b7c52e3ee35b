"""The transport: internal clock, who is in charge, bars."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rwkv_music_daemon.transport import (
    Located,
    MeterMap,
    SourceChanged,
    Started,
    Stopped,
    Transport,
)

from rwkv_music.errors import ConfigError
from rwkv_music.music import METERS, Meter

S = 1_000_000_000
T0 = 50 * S


def kinds(transport: Transport) -> list[type]:
    return [type(change) for change in transport.take_changes()]


# --- the internal clock ---


def test_it_stands_until_it_is_started() -> None:
    transport = Transport(90.0, Meter(3, 4))
    assert not transport.playing
    assert transport.beat_at(T0) == 0.0
    assert (transport.source, transport.tempo_bpm, transport.meter) == (
        "internal",
        90.0,
        Meter(3, 4),
    )


def test_the_internal_clock_runs_from_where_it_is_started() -> None:
    transport = Transport(120.0)
    transport.start_internal(7.5, T0)
    assert transport.take_changes() == [Started(7.5)]
    assert transport.beat_at(T0 + S) == 9.5
    assert transport.ns_at(9.5) == T0 + S
    transport.stop(T0 + S)
    assert transport.take_changes() == [Stopped(9.5)]
    assert transport.beat_at(T0 + 5 * S) == 9.5


def test_play_starts_at_0_and_continue_where_it_stands() -> None:
    transport = Transport(60.0)
    assert transport.play(T0)
    transport.stop(T0 + 3 * S)
    assert transport.continue_(T0 + 10 * S)
    assert transport.beat_at(T0 + 11 * S) == 4.0
    transport.stop(T0 + 12 * S)
    assert transport.play(T0 + 20 * S)
    assert transport.beat_at(T0 + 20 * S) == 0.0


def test_a_new_tempo_bends_the_line_where_it_is_told() -> None:
    transport = Transport(60.0)
    transport.play(T0)
    transport.osc_tempo(120.0, T0 + 2 * S)
    assert transport.tempo_bpm == 120.0
    assert transport.beat_at(T0 + S) == 1.0
    assert transport.beat_at(T0 + 3 * S) == 4.0
    assert transport.ns_at(1.5) == T0 + S + S // 2


def test_the_smallest_change_of_tempo_is_played() -> None:
    transport = Transport(120.0, source="internal")
    transport.play(T0)
    transport.osc_tempo(120.1, T0)
    assert transport.tempo_bpm == 120.1
    assert transport.beat_at(T0 + 600 * S) == pytest.approx(1201, abs=1e-6)


@pytest.mark.parametrize("nonsense", [0.0, -5.0, float("nan"), float("inf")])
def test_nonsense_from_outside_changes_nothing(nonsense: float) -> None:
    transport = Transport(60.0)
    transport.play(T0)
    transport.osc_tempo(nonsense, T0 + S)
    transport.osc_position(float("nan"), T0 + S)
    transport.osc_seconds(float("inf"), T0 + S)
    transport.osc_bbt(1, float("nan"), T0 + S)
    assert transport.tempo_bpm == 60.0
    assert transport.beat_at(T0 + 2 * S) == 2.0


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(20, 300), st.integers(1_000_000, 3 * S)), min_size=1, max_size=20),
    st.floats(0, 200),
)
def test_beat_and_time_are_inverse(tempi: list[tuple[float, int]], beat: float) -> None:
    transport, t_ns = Transport(120.0), T0
    transport.start_internal(0.0, t_ns)
    for tempo_bpm, lasts_ns in tempi:
        transport.osc_tempo(tempo_bpm, t_ns)
        before = transport.beat_at(t_ns + lasts_ns - 1)
        t_ns += lasts_ns
        assert transport.beat_at(t_ns) == pytest.approx(before, abs=1e-6)
    assert transport.beat_at(transport.ns_at(beat)) == pytest.approx(beat, abs=1e-6)


# --- who is in charge ---


def clock(transport: Transport, first_ns: int, count: int, tempo_bpm: float = 120.0) -> int:
    for k in range(count):
        transport.midi_tick(first_ns + round(k * 60e9 / 24 / tempo_bpm))
    return first_ns + round(count * 60e9 / 24 / tempo_bpm)


def test_a_started_midi_clock_takes_over_and_is_left_alone() -> None:
    transport = Transport(100.0)
    transport.start_internal(0.0, T0 - S)
    transport.take_changes()
    transport.midi_start(T0)
    t_ns = clock(transport, T0, 60)
    assert transport.take_changes() == [SourceChanged("midi_clock"), Located(0.0)]
    assert not transport.stop(t_ns)
    assert not transport.play(t_ns)
    assert transport.playing
    transport.midi_stop(t_ns)
    assert kinds(transport) == [Stopped]
    assert not transport.playing


def test_a_trigger_while_the_daw_stands_is_played_by_the_internal_clock() -> None:
    transport = Transport(100.0)
    t_ns = clock(transport, T0, 60, 140.0)
    assert transport.source == "midi_clock"
    transport.start_internal(0.0, t_ns)
    assert transport.source == "internal"
    assert transport.tempo_bpm == pytest.approx(140.0, rel=1e-3)
    assert transport.beat_at(t_ns + S) == pytest.approx(140 / 60, rel=1e-3)
    # The DAW's clock goes on ticking, and changes its tempo.
    t_ns = clock(transport, t_ns, 96, 70.0)
    assert transport.source == "internal"
    assert transport.tempo_bpm == pytest.approx(70.0, rel=1e-2)
    before = transport.beat_at(t_ns)
    assert transport.beat_at(t_ns + S) == pytest.approx(before + 70 / 60, rel=1e-2)
    transport.midi_start(t_ns)
    clock(transport, t_ns, 2, 70.0)
    assert transport.source == "midi_clock"


def test_a_stop_from_the_daw_stops_what_stands_in_for_it() -> None:
    transport = Transport()
    transport.start_internal(0.0, T0)
    transport.midi_stop(T0 + S)
    assert not transport.playing


def test_a_fixed_source_hears_no_other() -> None:
    transport = Transport(100.0, source="internal")
    transport.midi_start(T0)
    t_ns = clock(transport, T0, 48)
    assert not transport.playing
    assert transport.tempo_bpm == 100.0
    transport.play(t_ns)
    transport.midi_stop(t_ns + S)
    assert transport.playing
    assert transport.source == "internal"


def test_another_source_is_selected_without_a_jump() -> None:
    transport = Transport()
    transport.midi_start(T0)
    t_ns = clock(transport, T0, 100)
    transport.take_changes()
    before = transport.beat_at(t_ns)
    transport.select("internal", t_ns)
    assert transport.take_changes() == [SourceChanged("internal")]
    assert transport.beat_at(t_ns) == pytest.approx(before)
    assert transport.beat_at(t_ns + S) == pytest.approx(before + 2, abs=1e-3)
    transport.select("auto", t_ns)
    assert transport.source == "midi_clock"


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="sundial"):
        Transport(source="sundial")


# --- bars ---


def test_a_new_meter_holds_from_the_next_bar_line() -> None:
    transport = Transport(60.0)
    transport.play(T0)
    transport.set_meter(Meter(3, 4), T0 + 5 * S)
    assert transport.bar_at(5.0).meter == Meter(4, 4)
    assert transport.bar_at(8.0).meter == Meter(3, 4)
    assert [transport.bar(k).start_beat for k in range(5)] == [0, 4, 8, 11, 14]
    transport.set_meter(Meter(5, 8), T0 + 6 * S)  # another thought before the line
    assert [transport.bar(k).start_beat for k in range(5)] == [0, 4, 8, 10.5, 13]


def test_a_meter_set_on_a_bar_line_holds_at_once() -> None:
    transport = Transport(60.0)
    transport.set_meter(Meter(3, 4), T0)
    assert transport.bar_at(0.0).end_beat == 3.0
    transport.play(T0)
    transport.set_meter(Meter(2, 4), T0 + 3 * S)
    assert transport.bar_at(3.0).end_beat == 5.0


@pytest.mark.parametrize("late_ms", [0, 60, 300, 480])
def test_a_meter_told_just_after_its_line_holds_from_that_line(late_ms: int) -> None:
    transport = Transport(120.0)
    transport.play(T0)
    transport.set_meter(Meter(3, 4), T0 + 8 * S + late_ms * S // 1000)  # the host's, on beat 16
    assert [transport.bar(k).start_beat for k in range(3, 8)] == [12, 16, 19, 22, 25]
    transport.set_meter(Meter(5, 4), T0 + 11 * S - S // 50)  # before its line, as a script may
    assert [transport.bar(k).start_beat for k in range(4, 8)] == [16, 19, 22, 27]


def test_a_meter_told_in_two_halves_is_one_change() -> None:
    transport = Transport(120.0)
    transport.play(T0)
    transport.set_meter(Meter(6, 4), T0 + 8 * S + S // 20)
    transport.set_meter(Meter(6, 8), T0 + 8 * S + S // 10)  # on its way from 4/4
    assert [transport.bar(k).start_beat for k in range(3, 7)] == [12, 16, 19, 22]


def test_after_a_jump_bars_are_counted_in_the_present_meter() -> None:
    transport = Transport(120.0)
    transport.midi_start(T0)
    t_ns = clock(transport, T0, 24 * 5)
    transport.set_meter(Meter(3, 4), t_ns)
    assert transport.bar(3).start_beat == 11.0
    transport.midi_song_position(6 * 4, t_ns)
    clock(transport, t_ns, 1)
    assert transport.bar_at(6.0).number == 2
    assert transport.bar(3).start_beat == 9.0


def test_continuing_in_place_keeps_the_bars() -> None:
    transport = Transport(60.0)
    transport.play(T0)
    transport.set_meter(Meter(3, 4), T0 + S)
    transport.stop(T0 + 8 * S)
    transport.continue_(T0 + 20 * S)
    assert transport.bar_at(8.0).number == 2


def test_bars_before_the_start_have_negative_numbers() -> None:
    bars = MeterMap(Meter(3, 4))
    assert bars.bar_at(-0.5).number == -1
    assert bars.bar(-2).start_beat == -6.0


@given(
    st.lists(st.tuples(st.floats(0, 200), st.sampled_from(METERS)), max_size=8),
    st.floats(0, 400),
)
def test_bars_tile_the_beats(changes: list[tuple[float, Meter]], beat: float) -> None:
    bars = MeterMap(Meter())
    for at, meter in sorted(changes, key=lambda change: change[0]):
        bars.change(meter, at)
    span = bars.bar_at(beat)
    assert span.start_beat - 1e-6 <= beat < span.end_beat
    assert bars.bar(span.number) == span
    assert bars.bar(span.number + 1).start_beat == span.end_beat
    assert bars.bar_at(span.end_beat).number == span.number + 1
