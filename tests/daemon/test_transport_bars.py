"""Bars of the transport, as hosts tell them."""

from __future__ import annotations

import pytest
from osc_bridge import T0, S, bridge, kinds, led_from
from rwkv_music_daemon.transport import BarSpan, Located, SourceChanged, Started, Transport

from rwkv_music.music import Meter


def test_bars_and_beats_as_reaper_says_them() -> None:
    transport = Transport(120.0, Meter(6, 8))
    transport.osc_bbt(3, 4.0, T0)  # the fourth eighth of the third bar
    assert transport.beat_at(T0) == 7.5
    transport.osc_seconds(100.0, T0 + 1)  # less exact: ignored while bars come
    assert transport.beat_at(T0 + 1) == 7.5
    transport = Transport(120.0)
    transport.osc_seconds(3.0, T0)
    assert transport.beat_at(T0) == 6.0


def test_after_a_jump_in_bars_the_bar_is_the_one_that_was_told() -> None:
    transport = Transport(120.0, Meter(4, 4))
    transport.osc_bbt(1, 1.0, T0)
    transport.play(T0)
    transport.set_meter(Meter(3, 4), T0 + S)  # from bar 1 on
    transport.osc_bbt(9, 1.0, T0 + 2 * S)
    assert transport.bar_at(transport.beat_at(T0 + 2 * S)).number == 8


def waltz_then_common(beat: float) -> tuple[int, float]:
    """Where a song is, as REAPER says it, that has four bars of 3/4 and then 4/4."""
    bars, first, beats = (0, 0.0, 3) if beat < 12 else (4, 12.0, 4)
    bar, rest = divmod(beat - first, beats)
    return bars + int(bar) + 1, rest + 1


def in_common_time() -> tuple[Transport, int]:
    """One that was led through the change, and when it is on beat 20, bar 6 of that song."""
    transport = Transport(120.0, Meter(3, 4))
    transport.osc_bbt(1, 1.0, T0)
    transport.play(T0)
    for k in range(300):
        t_ns = T0 + k * S // 30
        if k == 170:  # beat 11.3
            transport.set_meter(Meter(4, 4), t_ns)
        transport.osc_bbt(*waltz_then_common((t_ns - T0) * 2 / S), t_ns)
    assert kinds(transport) == [SourceChanged, Started]
    return transport, T0 + 10 * S


@pytest.mark.parametrize("late_ms", [110, 140, 200])
def test_a_late_position_in_bars_is_no_jump_after_a_change_of_meter(late_ms: int) -> None:
    transport, t_ns = in_common_time()
    transport.osc_bbt(*waltz_then_common(20 - late_ms / 500), t_ns)
    transport.osc_bbt(*waltz_then_common(20.1), t_ns + S // 20)
    assert transport.take_changes() == []
    assert transport.bar_at(20.0).number == 6
    assert transport.bar_at(20.0).start_beat == 20.0


def test_a_jump_in_bars_is_told_even_where_the_new_numbers_name_the_same_beat() -> None:
    transport, t_ns = in_common_time()
    transport.osc_bbt(6, 1.0, t_ns)  # back to bar 5, beat 20 when all bars are of 4/4
    assert transport.take_changes() == [Located(20.0)]
    assert transport.bar_at(20.0).number == 5


def test_positions_in_bars_renumber_nothing_while_midi_clock_leads() -> None:
    transport, t_ns = in_common_time()
    transport.midi_song_position(20 * 4, t_ns)
    transport.midi_continue(t_ns)
    transport.midi_tick(t_ns)
    assert kinds(transport) == [SourceChanged]
    transport.osc_bbt(2, 1.0, t_ns + S // 100)
    assert transport.take_changes() == []
    assert transport.bar_at(20.0).number == 6


def test_a_place_in_bars_that_is_told_once_at_rest_is_that_bar() -> None:
    transport, t_ns = in_common_time()
    transport.stop(t_ns)
    transport.osc_bbt(10, 1.0, t_ns + S)
    assert transport.bar_at(transport.beat_at(t_ns + S)).number == 9
    transport.take_changes()
    transport.play(t_ns + 2 * S)
    transport.osc_bbt(10, 1.1, t_ns + 2 * S + S // 20)
    assert kinds(transport) == [Started]


# A song of several meters: where they begin, in bars and in beats.
SONG = [(0, 0.0, Meter(4, 4)), (4, 16.0, Meter(3, 4)), (8, 28.0, Meter(6, 8)), (10, 34.0, Meter())]
PLACES = [1.0, 7.75, 14.5, 17.0, 18.5, 26.9, 28.0, 29.75, 33.5, 35.0, 41.25]


def bar_in_song(beat: float) -> BarSpan:
    first, start, meter = [part for part in SONG if part[1] <= beat][-1]
    bars = int((beat - start) // meter.beats)
    return BarSpan(first + bars, start + bars * meter.beats, meter)


def reaper_says(beat: float) -> tuple[int, float]:
    bar = bar_in_song(beat)
    hundredths = (beat - bar.start_beat) * bar.meter.denominator / 4 * 100 // 1
    return bar.number + 1, 1 + hundredths / 100


def play_reaper(
    transport: Transport, t_ns: int, beat: float, seconds: float, told: Meter | None, late_s: float
) -> tuple[int, float, Meter | None]:
    """REAPER's bars thirty times a second, and its meter, so much later, when it is another."""
    meters = []
    for k in range(round(seconds * 30)):
        at_ns, now = t_ns + k * S // 30, beat + k / 15
        transport.osc_bbt(*reaper_says(now), at_ns)
        if bar_in_song(now).meter != told:
            told = bar_in_song(now).meter
            meters.append((at_ns + round(late_s * S), told))
        if meters and meters[0][0] <= at_ns:
            transport.set_meter(meters.pop(0)[1], at_ns)
    return t_ns + round(seconds * S), beat + 2 * seconds, told


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("start", [0.0, 20.0, 36.0])
def test_after_a_jump_in_bars_every_line_is_reapers_from_the_next_on(
    start: float, place: float
) -> None:
    transport = Transport(120.0)
    transport.osc_tempo(120.0, T0)
    transport.osc_bbt(*reaper_says(start), T0)
    transport.play(T0)
    t_ns, _, told = play_reaper(transport, T0, start, 2.5, None, 0.4)
    transport.take_changes()
    ends_ns, end, _ = play_reaper(transport, t_ns, place, 4.1, told, 0.4)
    ours, theirs = transport.bar_at(transport.beat_at(ends_ns)), bar_in_song(end)
    since = transport.beat_at(ends_ns) - ours.start_beat
    assert ours.number == theirs.number
    assert ours.meter == theirs.meter
    assert since == pytest.approx(end - theirs.start_beat, abs=0.1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("start", [0.0, 20.0, 36.0])
def test_a_bar_that_is_told_with_a_jump_is_the_one_jumped_into(start: float, place: float) -> None:
    """As Live and Ardour tell it, before the position."""
    transport = led_from(start)
    transport.osc_bar(bar_in_song(start), T0)
    t_ns, _ = bridge(transport, T0, start, 2)
    transport.take_changes()
    transport.osc_bar(bar_in_song(place), t_ns)
    transport.osc_position(place, t_ns + 1)
    t_ns, beat = bridge(transport, t_ns + 2, place, 0.2)
    assert transport.bar_at(transport.beat_at(t_ns)) == bar_in_song(beat)
    assert kinds(transport) == [Located]


def test_the_bars_of_a_song_are_told_without_a_jump() -> None:
    transport = led_from(0.0)
    transport.take_changes()
    t_ns, beat = T0, 0.0
    while beat < 40:
        transport.osc_bar(bar_in_song(beat), t_ns)
        t_ns, beat = bridge(transport, t_ns, beat, 0.2)
    assert kinds(transport) == []
    for at in (3.0, 17.0, 26.0, 29.0, 33.0, 36.0):
        assert transport.bar_at(at) == bar_in_song(at)


def test_a_bar_that_is_told_a_little_before_its_line_opens_none_too_soon() -> None:
    transport = led_from(0.0)
    t_ns, _ = bridge(transport, T0, 0.0, 7.95)
    transport.take_changes()
    transport.osc_bar(bar_in_song(16.0), t_ns)
    assert transport.bar_at(transport.beat_at(t_ns)).number == 3
    assert transport.bar_at(16.0) == bar_in_song(16.0)
    assert kinds(transport) == []


def test_a_bar_that_was_cut_short_is_begun_anew() -> None:
    transport = led_from(0.0)
    bridge(transport, T0, 0.0, 3)
    transport.take_changes()
    transport.osc_bar(BarSpan(2, 6.0, Meter()), T0 + 3 * S)  # bar 1 has two beats
    assert kinds(transport) == [Located]
    assert transport.bar_at(7.0) == BarSpan(2, 6.0, Meter())
    assert transport.bar_at(10.5) == BarSpan(3, 10.0, Meter())


@pytest.mark.parametrize("place", PLACES)
def test_the_bars_that_are_told_hold_for_midi_clock(place: float) -> None:
    """Ardour's clock jumps first, its hook tells the bar a tenth of a second later."""
    transport = Transport(120.0)
    sixteenths = int(place * 4)
    transport.midi_song_position(sixteenths, T0)
    transport.midi_continue(T0)
    for tick in range(240):
        transport.midi_tick(T0 + tick * S // 48)
        if tick == 5:
            transport.osc_bar(bar_in_song(sixteenths / 4), T0 + tick * S // 48)
    assert transport.source == "midi_clock"
    at = sixteenths / 4 + 0.2
    assert transport.bar_at(at) == bar_in_song(at)


def test_a_loop_of_midi_clock_keeps_the_bars_that_were_told() -> None:
    transport = Transport(120.0)
    transport.midi_song_position(16 * 4, T0)
    transport.midi_continue(T0)
    t_ns = T0
    for bar in range(4, 8):  # 3/4, from beat 16 to beat 28
        for tick in range(72):
            t_ns += S // 48
            transport.midi_tick(t_ns)
            if tick == 3:
                transport.osc_bar(BarSpan(bar, 16 + 3.0 * (bar - 4), Meter(3, 4)), t_ns)
    transport.take_changes()
    transport.midi_song_position(19 * 4, t_ns)
    transport.midi_tick(t_ns + S // 48)
    assert kinds(transport) == [Located]
    assert transport.bar_at(19.0) == BarSpan(5, 19.0, Meter(3, 4))
    transport.osc_bar(BarSpan(5, 19.0, Meter(3, 4)), t_ns + S // 10)
    assert kinds(transport) == []


def test_at_the_top_of_the_song_is_its_first_bar_whatever_was_told() -> None:
    transport = led_from(17.0)
    transport.osc_bar(bar_in_song(17.0), T0)
    transport.stop(T0 + S)
    transport.midi_start(T0 + 2 * S)
    transport.midi_tick(T0 + 2 * S)
    assert transport.bar_at(0.0).number == 0
    assert transport.bar_at(0.0).start_beat == 0.0


def test_a_host_that_stands_still_says_nothing_about_our_own_clock() -> None:
    transport = Transport(120.0)
    transport.osc_position(17.0, T0)
    transport.osc_bar(bar_in_song(17.0), T0)
    transport.launch(T0 + 5 * S)
    transport.take_changes()
    for second in range(6, 30):
        transport.osc_bar(bar_in_song(17.0), T0 + second * S)
    assert kinds(transport) == []
    assert transport.bar_at(17.0) == BarSpan(5, 15.0, Meter(3, 4))


def test_our_own_clock_has_bars_of_its_own() -> None:
    transport = Transport(120.0)
    transport.osc_position(41.0, T0)
    transport.osc_bar(bar_in_song(41.0), T0)
    assert transport.bar_at(41.0) == bar_in_song(41.0)
    transport.start_internal(2.0, T0 + 60 * S)
    assert transport.bar_at(2.0).number == 0


# --- Ardour tells its song position in ticks ---


def roll_ardour(transport: Transport, t_ns: int, beat: float, told_after: int = 5) -> int:
    """A second of Ardour's from there on, at 120: its pointer counts ticks, and its hook tells the
    place some ticks later, and ten times a second from then on."""
    transport.midi_song_position(round(beat * 24), t_ns)
    transport.midi_continue(t_ns)
    for tick in range(48):
        if tick % 5 == told_after % 5 and tick >= told_after:
            transport.osc_position(beat + tick / 24, t_ns)
        transport.midi_tick(t_ns)
        t_ns += S // 48
    return t_ns


def test_a_pointer_in_ticks_is_known_by_the_place_where_the_host_stands() -> None:
    transport = Transport(120.0)
    transport.osc_position(28.0, T0)
    transport.take_changes()
    t_ns = roll_ardour(transport, T0 + S // 2, 28.0)
    assert kinds(transport) == [SourceChanged, Started]
    assert transport.beat_at(t_ns) == pytest.approx(30.0, abs=0.01)


def test_a_pointer_in_ticks_is_known_when_the_host_says_where_it_is() -> None:
    transport = Transport(120.0)
    t_ns = roll_ardour(transport, T0, 28.0)
    assert kinds(transport) == [Located, SourceChanged, Started, Located]
    assert transport.beat_at(t_ns) == pytest.approx(30.0, abs=0.01)
    transport.midi_stop(t_ns)
    transport.stop(t_ns)
    transport.take_changes()
    t_ns = roll_ardour(transport, t_ns, 7.75)  # from then on it is known
    assert kinds(transport) == [Located, Started]
    assert transport.beat_at(t_ns) == pytest.approx(9.75, abs=0.01)


def test_a_pointer_in_sixteenths_stays_what_it_is() -> None:
    transport = Transport(120.0)
    t_ns, beat = T0, 28.0
    for place in (28.0, 4.25, 0.0, 41.5):
        transport.midi_song_position(round(place * 4), t_ns)
        transport.midi_continue(t_ns)
        for tick in range(48):
            transport.midi_tick(t_ns)
            if tick % 5 == 4:
                transport.osc_position(place + tick / 24, t_ns)
            t_ns += S // 48
        beat = place + 2
        assert transport.beat_at(t_ns) == pytest.approx(beat, abs=0.01)
        transport.midi_stop(t_ns)


def test_the_place_of_another_host_says_nothing_about_a_pointer() -> None:
    transport = Transport(120.0)
    transport.midi_song_position(150 * 4, T0)
    transport.midi_continue(T0)
    for tick in range(24 * 60):
        transport.midi_tick(T0 + tick * S // 48)
        if tick % 24 == 5:
            transport.osc_position(40.0, T0 + tick * S // 48)  # it stands still
    assert transport.beat_at(T0 + 30 * S) == pytest.approx(210.0, abs=0.01)


def test_without_a_bridge_a_pointer_is_what_midi_says() -> None:
    transport = Transport(120.0)
    transport.midi_song_position(28 * 4, T0)
    assert transport.beat_at(T0) == 28.0
