"""Whole sessions with others on Ableton Link: what is heard and played is in their bars."""

from __future__ import annotations

from typing import Any

import pytest
from link_peers import Peers
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, heard_bars, ms, onsets_ms, play_note

from rwkv_music.model.scripted import ScriptedModel

LINE_MS = 1350.0  # the session's beat 20 at 120: it is at 17.3 when we begin


class Stage:
    """A rehearsal in a session that is told every 10 ms, as the io loop does more often."""

    def __init__(self, peers: Peers | None = None, **generation: Any) -> None:
        transport = Transport(source="auto")
        wishes = Generation(**{"bars": 1, **generation})
        self.r = Rehearsal(ScriptedModel(), wishes, transport)
        self.peers = peers or Peers()
        self.peers.tell(transport, 0)
        self.r.step()

    def run_until_ms(self, end_ms: float) -> None:
        while self.r.clock.now_ns() < ms(end_ms):
            self.r.run_until_ns(min(self.r.clock.now_ns() + ms(10), ms(end_ms)))
            self.peers.tell(self.r.transport, self.r.clock.now_ns())
            self.r.conductor.follow_transport(self.r.clock.now_ns())


def clicks_ms(stage: Stage) -> list[float]:
    return [t / 1e6 for t, m in stage.r.sent if m[0] == 0x99]


def test_a_trigger_plays_from_the_sessions_next_bar_line() -> None:
    stage = Stage()
    request, start_bar = stage.r.conductor.trigger(0)
    assert (request, start_bar) == (1, 0)
    stage.run_until_ms(LINE_MS + 1900)
    assert onsets_ms(stage.r) == pytest.approx([LINE_MS + 500 * k for k in range(4)], abs=0.5)


def test_a_trigger_too_near_to_the_line_is_for_the_next() -> None:
    stage = Stage()
    stage.run_until_ms(LINE_MS - 5)
    stage.r.conductor.trigger(stage.r.clock.now_ns())
    stage.run_until_ms(LINE_MS + 2100)
    assert onsets_ms(stage.r)[0] == pytest.approx(LINE_MS + 2000, abs=0.5)


def test_what_is_played_before_that_line_is_heard_in_its_bar() -> None:
    stage = Stage()
    play_note(stage.r, 350, 60, 200)  # the session's beat 18: two beats before the line
    play_note(stage.r, LINE_MS + 500, 64, 200)
    stage.run_until_ms(LINE_MS + 2100)
    assert heard_bars(stage.r)[:2] == [[(24, 60, 5, "player")], [(12, 64, 5, "player")]]
    assert events(stage.r, "/rwkv/bar")[:2] == [(-1, 1), (0, 1)]


@pytest.mark.parametrize("address", ["/rwkv/trigger", "/rwkv/transport/play"])
def test_with_a_count_in_the_rest_of_the_sessions_bar_is_clicked(address: str) -> None:
    stage = Stage(count_in=1)
    stage.r.ask(address)
    stage.run_until_ms(LINE_MS + 400)
    assert clicks_ms(stage) == pytest.approx([LINE_MS - 1000, LINE_MS - 500], abs=0.5)


def test_others_who_start_are_not_counted_in_as_a_request_of_ours_was() -> None:
    stage = Stage()
    stage.r.ask("/rwkv/once/count_in", 1)
    stage.r.ask("/rwkv/trigger")
    stage.run_until_ms(LINE_MS + 1400)
    assert len(clicks_ms(stage)) == 2
    stage.r.ask("/rwkv/transport/stop")
    stage.run_until_ms(LINE_MS + 2800)
    stage.peers.start(stage.r.clock.now_ns())
    stage.run_until_ms(LINE_MS + 3900)
    assert stage.r.transport.beat_at(stage.r.clock.now_ns()) < 0
    assert len(clicks_ms(stage)) == 2


def test_a_first_note_is_not_counted_in() -> None:
    stage = Stage(count_in=1)
    play_note(stage.r, 350, 60, 200)
    stage.run_until_ms(LINE_MS + 400)
    assert clicks_ms(stage) == []


def test_our_own_start_ends_when_nobody_plays() -> None:
    stage = Stage()
    play_note(stage.r, 350, 60, 200)
    stage.run_until_ms(LINE_MS + 5 * 2000)
    assert stage.r.conductor.state == "idle"


def test_a_session_that_plays_starts_and_stops_us() -> None:
    stage = Stage()
    stage.peers.start(ms(100))
    stage.run_until_ms(LINE_MS + 9 * 2000)  # it is not ours to rest
    assert stage.r.conductor.state == "listening"
    assert [bar for bar, _ in events(stage.r, "/rwkv/bar")] == list(range(9))
    with pytest.raises(OscError, match="follows link"):
        stage.r.control._methods["transport/stop"](stage.r.clock.now_ns())
    stage.peers.plays = False
    stage.run_until_ms(LINE_MS + 9 * 2000 + 50)
    assert stage.r.conductor.state == "idle"
