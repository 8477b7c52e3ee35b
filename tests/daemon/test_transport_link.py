"""Ableton Link as a source: in phase with the session, started and stopped with it."""

from __future__ import annotations

import pytest
from link_peers import Peers
from rwkv_music_daemon.transport import (
    LinkState,
    LinkWish,
    Located,
    SourceChanged,
    Started,
    Stopped,
    Transport,
)

from rwkv_music.music import Meter

S = 1_000_000_000
MS = 1_000_000
T0 = 50 * S


def in_session(source: str = "auto", peers: Peers | None = None) -> tuple[Transport, Peers]:
    """A transport that stands still and has just heard of the session."""
    transport, session = Transport(100.0, source=source), peers or Peers()
    session.tell(transport, T0)
    transport.take_changes()
    return transport, session


def test_a_session_tells_its_tempo_while_we_stand_still() -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=97.0))
    assert (transport.source, transport.tempo_bpm, transport.playing) == ("link", 97.0, False)
    session.change_tempo(133.0, T0 + S)
    session.tell(transport, T0 + S)
    assert transport.tempo_bpm == 133.0


def test_auto_does_not_follow_a_session_of_nobody_else() -> None:
    transport, _ = in_session(peers=Peers(tempo_bpm=97.0, peers=0))
    assert (transport.source, transport.tempo_bpm) == ("internal", 100.0)
    transport.launch(T0)
    assert transport.source == "internal"
    assert transport.take_link_wishes() == []


@pytest.mark.parametrize("meter", [Meter(4, 4), Meter(3, 4), Meter(7, 8)])
def test_beat_0_is_on_a_bar_line_of_the_session(meter: Meter) -> None:
    transport, session = in_session()
    transport.set_meter(meter, T0)
    session.tell(transport, T0)
    transport.launch(T0)
    line = session.beat_at(transport.ns_at(0.0)) / meter.beats
    assert line == pytest.approx(round(line), abs=1e-6)
    assert T0 <= transport.ns_at(0.0) < T0 + meter.beats * 60e9 / session.tempo_bpm
    assert -meter.beats < transport.beat_at(T0) <= 0
    assert transport.bar_at(transport.beat_at(T0 + MS)).number == -1
    assert transport.take_link_wishes() == []  # the others are left alone


def test_who_starts_together_has_beat_0_on_the_same_line() -> None:
    transport, session = in_session()
    started_ns = session.ns_at(121.0)
    session.start(started_ns)
    session.tell(transport, session.ns_at(124.3))  # told late, after the line
    assert transport.playing
    assert transport.ns_at(0.0) == pytest.approx(session.ns_at(124.0), abs=1000)
    assert isinstance(transport.take_changes()[-1], Started)
    session.plays = False
    session.tell(transport, session.ns_at(130.0))
    (change,) = transport.take_changes()
    assert isinstance(change, Stopped)
    assert change.beat == pytest.approx(6.0, abs=1e-6)


def test_a_session_that_has_played_for_long_is_joined_in_its_own_bar() -> None:
    session = Peers()
    session.start(session.ns_at(40.0))
    transport = Transport(100.0)
    session.tell(transport, session.ns_at(90.5))
    assert transport.beat_at(session.ns_at(90.5)) == pytest.approx(50.5, abs=1e-6)


def test_a_tempo_of_the_session_bends_the_line_and_breaks_nothing() -> None:
    transport, session = in_session()
    transport.launch(T0)
    transport.take_changes()
    t_ns = T0 + 8 * S
    before = transport.beat_at(t_ns)
    session.change_tempo(90.0, t_ns)
    session.tell(transport, t_ns)
    assert transport.take_changes() == []
    assert transport.tempo_bpm == 90.0
    assert transport.beat_at(t_ns) == pytest.approx(before, abs=1e-6)
    assert transport.beat_at(t_ns + 2 * S) == pytest.approx(before + 3.0, abs=1e-6)


def test_a_clock_that_is_read_a_little_off_moves_nothing() -> None:
    transport, session = in_session()
    transport.launch(T0)
    line = transport.ns_at(100.0)
    for number in range(50):
        t_ns = T0 + number * 10 * MS
        off_ns = (-1) ** number * 40_000
        beat = session.beat_at(t_ns + off_ns)
        transport.link(LinkState(t_ns, beat, transport.link_quantum, 120.0, 1), t_ns)
    assert transport.ns_at(100.0) == line


def test_another_sessions_phase_is_a_jump() -> None:
    transport, session = in_session()
    transport.launch(T0)
    transport.take_changes()
    session.beat += 1.5
    session.tell(transport, T0 + 8 * S)
    (change,) = transport.take_changes()
    assert isinstance(change, Located)
    line = session.beat_at(transport.ns_at(40.0)) / 4
    assert line == pytest.approx(round(line), abs=1e-6)


def test_when_the_others_leave_auto_goes_on_without_a_jump() -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=93.0))
    transport.launch(T0)
    transport.take_changes()
    t_ns = T0 + 9 * S
    before = transport.beat_at(t_ns)
    session.peers = 0
    session.tell(transport, t_ns)
    transport.tick(t_ns)
    assert transport.take_changes() == [SourceChanged("internal")]
    assert transport.playing
    assert transport.beat_at(t_ns) == pytest.approx(before, abs=1e-6)
    assert transport.beat_at(t_ns + 60 * S) == pytest.approx(before + 93.0, abs=1e-6)


def ticks(transport: Transport, first_ns: int, count: int) -> int:
    for number in range(count):
        transport.midi_tick(first_ns + number * 25 * MS)  # 100 quarters a minute
    return first_ns + count * 25 * MS


def test_a_midi_clock_that_runs_leads_a_session() -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=140.0))
    transport.launch(T0)
    transport.midi_start(T0 + S)
    t_ns = ticks(transport, T0 + S, 48)
    session.tell(transport, t_ns)
    assert transport.source == "midi_clock"
    assert transport.tempo_bpm == pytest.approx(100.0, rel=1e-3)


def test_positions_from_a_bridge_lead_a_session() -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=140.0))
    transport.osc_tempo(100.0, T0)
    for number in range(20):
        transport.osc_position(number / 12, T0 + number * 50 * MS)
        session.tell(transport, T0 + number * 50 * MS)
    assert transport.source == "osc"
    assert transport.tempo_bpm == pytest.approx(100.0, rel=1e-3)


def test_alone_in_a_chosen_session_beat_0_is_at_once_and_theirs_who_join() -> None:
    transport, session = in_session("link", Peers(peers=0))
    transport.launch(T0)
    assert transport.source == "link"
    assert transport.ns_at(0.0) == T0
    assert transport.take_link_wishes() == [LinkWish(T0, quantum=4.0)]
    session.beat = -session.tempo_bpm * T0 / 60e9  # the wish is carried out
    session.tell(transport, T0 + 2 * MS)
    session.peers = 3
    session.tell(transport, T0 + 4 * MS)
    assert transport.ns_at(8.0) == pytest.approx(T0 + 4 * S, abs=1000)
    assert [c for c in transport.take_changes() if isinstance(c, Located)] == []


def test_a_chosen_session_is_asked_to_play_to_stop_and_for_a_tempo() -> None:
    transport, session = in_session("link")
    assert transport.play(T0)
    assert transport.take_link_wishes() == [LinkWish(T0, plays=True)]
    first_ns = transport.ns_at(0.0)
    session.start(T0)
    session.tell(transport, T0 + 10 * MS)  # our own wish, told back
    assert transport.ns_at(0.0) == pytest.approx(first_ns, abs=1000)
    assert [c for c in transport.take_changes() if isinstance(c, Located)] == []
    assert transport.play(T0 + S)  # nothing new
    assert transport.take_link_wishes() == []
    transport.osc_tempo(88.0, T0 + S)
    assert transport.take_link_wishes() == [LinkWish(T0 + S, tempo_bpm=88.0)]
    assert transport.tempo_bpm == 120.0  # until the session says so
    assert transport.stop(T0 + 2 * S)
    assert transport.take_link_wishes() == [LinkWish(T0 + 2 * S, plays=False)]
    assert not transport.playing


def test_a_session_that_was_only_found_is_asked_for_nothing() -> None:
    transport, session = in_session("auto")
    transport.osc_tempo(88.0, T0)
    assert transport.tempo_bpm == 120.0
    assert transport.play(T0)
    assert transport.stop(T0 + S)  # it was ours alone
    session.start(T0 + 2 * S)
    session.tell(transport, T0 + 2 * S)
    assert transport.playing
    assert not transport.stop(T0 + 3 * S)
    assert transport.playing
    assert transport.take_link_wishes() == []


def test_a_session_chosen_while_we_play_is_joined_at_the_nearest_bar() -> None:
    transport, session = in_session("internal")
    transport.start_internal(0.0, T0)
    t_ns = T0 + 10 * S
    session.tell(transport, t_ns)
    before = transport.beat_at(t_ns)
    transport.select("link", t_ns)
    assert transport.source == "link"
    assert abs(transport.beat_at(t_ns) - before) <= 2.0
    line = session.beat_at(transport.ns_at(40.0)) / 4
    assert line == pytest.approx(round(line), abs=1e-6)


def test_continue_goes_on_near_where_it_stood() -> None:
    transport, session = in_session()
    transport.launch(T0)
    t_ns = T0 + 9 * S
    transport.stop(t_ns)
    stood = transport.beat_at(t_ns)
    later_ns = t_ns + 7 * S
    session.tell(transport, later_ns)
    assert transport.continue_(later_ns)
    assert abs(transport.beat_at(later_ns) - stood) <= 2.0
    line = session.beat_at(transport.ns_at(40.0)) / 4
    assert line == pytest.approx(round(line), abs=1e-6)


@pytest.mark.parametrize(("apart", "goes_on_by"), [(0.0, "link"), (1.5, "internal")])
def test_when_a_midi_clock_dies_a_session_goes_on_where_its_bars_are_the_same(
    apart: float, goes_on_by: str
) -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=100.0))
    transport.midi_start(T0)
    t_ns = ticks(transport, T0, 97)
    session.beat += round(session.beat_at(T0) / 4) * 4 + apart - session.beat_at(T0)
    session.tell(transport, t_ns)
    transport.take_changes()
    expected = transport.beat_at(t_ns + 2 * S)
    session.tell(transport, t_ns + 2 * S)
    transport.tick(t_ns + 2 * S)
    assert transport.take_changes() == [SourceChanged(goes_on_by)]
    assert transport.beat_at(t_ns + 3 * S) == pytest.approx(expected + 100 / 60, abs=0.02)


def test_a_host_that_stops_both_its_clock_and_its_session_does_so_once() -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=100.0))
    session.start(T0)
    session.tell(transport, T0)
    transport.midi_start(T0 + S)
    t_ns = ticks(transport, T0 + S, 100)
    session.tell(transport, t_ns)
    transport.take_changes()
    transport.midi_stop(t_ns)
    session.tell(transport, t_ns + 10 * MS)
    session.plays = False
    session.tell(transport, t_ns + 50 * MS)
    assert [type(change) for change in transport.take_changes()] == [Stopped]


def test_a_midi_clock_that_only_ticks_does_not_stop_a_session() -> None:
    transport, session = in_session(peers=Peers(tempo_bpm=100.0))
    transport.launch(T0)
    transport.take_changes()
    t_ns = ticks(transport, T0 + S, 30)
    session.tell(transport, t_ns)
    assert transport.playing
    assert transport.source == "link"
    assert transport.take_changes() == []


def test_a_correction_is_over_soon_however_often_the_same_is_said() -> None:
    transport, session = in_session()
    transport.launch(T0)
    t_ns = T0 + 8 * S
    session.beat += 0.02  # 10 ms
    session.tell(transport, t_ns)
    for _ in range(200):
        t_ns += 2 * MS
        session.tell(transport, t_ns)
    line = session.beat_at(transport.ns_at(60.0)) / 4
    assert line == pytest.approx(round(line), abs=1e-7)
    assert session.beat_at(t_ns) % 4 == pytest.approx(transport.beat_at(t_ns) % 4, abs=1e-7)
    long_ago = transport.beat_at(t_ns) - transport.beat_at(T0 + 4 * S)
    assert long_ago == pytest.approx(2 * (t_ns - T0 - 4 * S) / S, abs=0.05)  # none of it is lost
