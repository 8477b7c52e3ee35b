"""The transport, told of the position over OSC."""

from __future__ import annotations

import pytest
from osc_bridge import T0, S, bridge, kinds, led_from
from rwkv_music_daemon.transport import (
    Located,
    SourceChanged,
    Started,
    Stopped,
    Transport,
)

from rwkv_music.music import Meter


def test_positions_and_play_make_a_transport() -> None:
    transport = Transport(100.0)
    transport.osc_tempo(120.0, T0)
    transport.osc_position(16.0, T0)
    assert transport.take_changes() == [Located(16.0)]
    assert transport.play(T0)
    assert transport.take_changes() == [SourceChanged("osc"), Started(16.0)]
    t_ns, beat = bridge(transport, T0, 16.0, 4)
    assert transport.beat_at(t_ns) == pytest.approx(beat, abs=0.04)  # 20 ms
    assert transport.tempo_bpm == 120.0
    transport.stop(t_ns)
    assert kinds(transport) == [Stopped]


def test_jitter_does_not_shake_the_beat() -> None:
    transport = led_from(0.0)
    offsets = []
    t_ns, beat = T0, 0.0
    for second in range(20):
        t_ns, beat = bridge(transport, t_ns, beat, 1, seed=second)
        offsets.append(transport.beat_at(t_ns) - beat)
        assert kinds(transport) in ([], [SourceChanged, Started])
    steady = offsets[4:]
    assert max(steady) - min(steady) < 0.008  # 4 ms of 15


def test_a_tempo_that_nobody_tells_is_measured() -> None:
    transport = Transport(100.0)
    transport.osc_position(0.0, T0)
    transport.play(T0)
    bridge(transport, T0, 0.0, 5, tempo_bpm=133.0)
    assert transport.tempo_bpm == pytest.approx(133.0, rel=0.01)


def test_a_loop_is_a_jump_and_a_late_packet_is_not() -> None:
    transport = Transport(120.0)
    transport.osc_position(0.0, T0)
    transport.play(T0)
    t_ns, beat = bridge(transport, T0, 0.0, 4)
    transport.take_changes()
    transport.osc_position(beat - 0.4, t_ns)  # 200 ms late
    assert transport.take_changes() == []
    t_ns, beat = bridge(transport, t_ns, beat, 1)
    assert transport.take_changes() == []
    transport.osc_position(beat - 4, t_ns)
    (located,) = transport.take_changes()
    assert located == Located(pytest.approx(beat - 4))


def test_a_small_jump_is_believed_when_it_is_confirmed() -> None:
    transport = Transport(120.0)
    transport.osc_position(0.0, T0)
    transport.play(T0)
    t_ns, beat = bridge(transport, T0, 0.0, 4)
    transport.take_changes()
    bridge(transport, t_ns, beat + 0.5, 0.2)
    assert [type(c) for c in transport.take_changes()] == [Located]
    assert transport.beat_at(t_ns + S) == pytest.approx(beat + 2.5, abs=0.05)


def test_a_daw_that_plays_already_is_noticed() -> None:
    transport = Transport(120.0)
    t_ns, beat = bridge(transport, T0, 40.0, 0.3)
    assert transport.playing
    assert transport.source == "osc"
    assert transport.beat_at(t_ns) == pytest.approx(beat, abs=0.05)


def test_a_cursor_that_is_moved_about_does_not_play() -> None:
    transport = Transport(120.0)
    for k, beat in enumerate((0, 8, 4, 4, 4, 12, 13, 14, 2)):
        transport.osc_position(float(beat), T0 + k * 50_000_000)
    assert not transport.playing
    assert transport.beat_at(T0 + S) == 2.0


def test_play_before_any_position_runs_at_once_and_the_bridge_takes_over() -> None:
    transport = Transport(120.0)
    assert transport.play(T0)
    assert transport.source == "internal"
    bridge(transport, T0 + 30_000_000, 0.06, 0.2)
    assert transport.source == "osc"
    assert Located not in kinds(transport)


def test_a_bridge_that_dies_is_replaced_without_a_jump() -> None:
    transport = Transport(120.0)
    transport.osc_position(0.0, T0)
    transport.play(T0)
    t_ns, beat = bridge(transport, T0, 0.0, 4)
    transport.take_changes()
    transport.tick(t_ns + S)
    assert transport.source == "osc"
    transport.tick(t_ns + 3 * S)
    assert transport.take_changes() == [SourceChanged("internal")]
    assert transport.beat_at(t_ns + 3 * S) == pytest.approx(beat + 6, abs=0.05)
    # It comes back, still playing.
    bridge(transport, t_ns + 4 * S, beat + 8, 0.2)
    assert transport.source == "osc"
    assert Located not in kinds(transport)


def test_a_small_correction_at_rest_keeps_the_bar_lines() -> None:
    transport = led_from(0.0)
    transport.set_meter(Meter(3, 4), T0 + S)  # from beat 4 on
    bridge(transport, T0, 0.0, 4)
    transport.stop(T0 + 4 * S)
    transport.osc_position(8.02, T0 + 4 * S)
    transport.play(T0 + 5 * S)
    assert [transport.bar(k).start_beat for k in range(5)] == [0, 4, 7, 10, 13]


def test_packets_that_come_late_in_a_row_do_not_bend_the_tempo() -> None:
    """A host whose screen stands still for a while sends its positions late, all at once."""
    transport = led_from(0.0)
    t_ns, beat = bridge(transport, T0, 0.0, 4)
    for _ in range(5):
        stood_ns = t_ns + 90_000_000
        for k in range(3):
            told_ns = t_ns + k * 30_000_000
            transport.osc_position(beat + (told_ns - t_ns) * 2 / S, stood_ns)
        assert transport.tempo_bpm == 120.0
        t_ns, beat = bridge(transport, stood_ns, beat + 0.18, 0.3)
        assert transport.tempo_bpm == 120.0
    assert transport.beat_at(t_ns) == pytest.approx(beat, abs=0.04)


def test_play_said_again_is_no_jump() -> None:
    transport = led_from(8.0)
    t_ns, beat = bridge(transport, T0, 8.0, 3)
    transport.take_changes()
    assert transport.play(t_ns)
    assert transport.take_changes() == []
    assert transport.beat_at(t_ns) == pytest.approx(beat, abs=0.04)


def at_rest(beat: float) -> tuple[Transport, int]:
    """One whose DAW has told a place and then nothing: REAPER tells one only where it is new."""
    transport = Transport(120.0)
    transport.osc_position(beat, T0)
    transport.take_changes()
    transport.tick(T0 + 10 * S)
    return transport, T0 + 10 * S


def test_after_a_rest_a_start_waits_for_the_place_that_follows_it() -> None:
    transport, t_ns = at_rest(16.0)
    assert transport.play(t_ns, count_in=1)
    transport.tick(t_ns + 60_000_000)
    assert transport.take_changes() == []
    bridge(transport, t_ns + 66_000_000, 64.0, 2, hz=15)
    transport.tick(t_ns + 2 * S)
    assert transport.take_changes() == [SourceChanged("osc"), Started(64.0)]


def test_a_start_does_not_believe_the_cursor_that_was_told_at_a_pause() -> None:
    transport, t_ns = at_rest(16.0)
    transport.play(t_ns)
    t_ns, _ = bridge(transport, t_ns + 66_000_000, 16.0, 4)
    transport.stop(t_ns)
    transport.osc_position(16.0, t_ns + 66_000_000)  # the edit cursor, not where it paused
    transport.take_changes()
    transport.play(t_ns + S)
    assert transport.take_changes() == []
    transport.osc_position(24.0, t_ns + S + 66_000_000)
    assert transport.take_changes() == [Started(24.0)]


def test_a_start_that_no_place_follows_is_our_own() -> None:
    transport, t_ns = at_rest(16.0)
    transport.play(t_ns, count_in=1)
    transport.tick(t_ns + 200_000_000)
    assert not transport.playing
    transport.tick(t_ns + 300_000_000)
    assert transport.take_changes() == [Started(-4.0)]
    assert transport.source == "internal"
    transport.tick(t_ns + 600_000_000)
    assert transport.take_changes() == []


def test_a_start_that_waits_can_be_called_off() -> None:
    transport, t_ns = at_rest(16.0)
    transport.play(t_ns)
    transport.stop(t_ns + 100_000_000)
    transport.tick(t_ns + S)
    assert transport.take_changes() == []


def test_what_begins_meanwhile_is_not_begun_again() -> None:
    transport, t_ns = at_rest(16.0)
    transport.play(t_ns)
    transport.launch(t_ns + 100_000_000)
    transport.tick(t_ns + S)
    assert transport.take_changes() == [Started(0.0)]
