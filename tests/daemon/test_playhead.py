"""Where the music is: bent towards better knowledge, broken by a jump, and always told."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.transport.changes import Change, Located, Started, Stopped
from rwkv_music_daemon.transport.playhead import Playhead
from rwkv_music_daemon.transport.timeline import Line

BEAT_NS = 500_000_000
SECOND_NS = 1_000_000_000


class Heard:
    """A playhead at 120 bpm, and what it has told."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.breaks: list[tuple[float, int]] = []
        self.playhead = Playhead(line_from(0), self._break, self.changes.append)

    def _break(self, beat: float, t_ns: int) -> None:
        self.breaks.append((beat, t_ns))


def line_from(beat: float, t_ns: int = 0) -> Line:
    return Line(t_ns, beat, BEAT_NS)


def test_it_stands_at_0_until_it_is_told_to_run() -> None:
    heard = Heard()
    assert heard.playhead.beat_at(SECOND_NS) == 0.0
    heard.playhead.follow(line_from(0, SECOND_NS), SECOND_NS)
    assert heard.changes == [Started(0.0)]
    assert heard.playhead.beat_at(2 * SECOND_NS) == pytest.approx(2.0)


def test_better_knowledge_bends_it_and_tells_nothing() -> None:
    heard = Heard()
    heard.playhead.follow(line_from(0), 0)
    heard.playhead.follow(line_from(0.1), SECOND_NS)
    assert heard.playhead.beat_at(SECOND_NS) == pytest.approx(2.0)  # no break
    assert heard.playhead.beat_at(3 * SECOND_NS) == pytest.approx(6.1)
    assert heard.changes == [Started(0.0)]
    assert heard.breaks == []


def test_a_jump_breaks_it() -> None:
    heard = Heard()
    heard.playhead.follow(line_from(0), 0)
    heard.playhead.locate(line_from(7.5), SECOND_NS)
    assert heard.playhead.beat_at(2 * SECOND_NS) == pytest.approx(11.5)
    assert heard.changes == [Started(0.0), Located(9.5)]
    assert heard.breaks == [(9.5, SECOND_NS)]


def test_to_start_elsewhere_than_it_stands_breaks_it() -> None:
    heard = Heard()
    heard.playhead.follow(line_from(7.5), 0)
    assert heard.changes == [Started(7.5)]
    assert heard.breaks == [(7.5, 0)]


def test_it_stops_where_it_is_and_remembers_what_was_before() -> None:
    heard = Heard()
    heard.playhead.follow(line_from(0), 0)
    heard.playhead.halt(SECOND_NS)
    heard.playhead.halt(2 * SECOND_NS)
    assert heard.changes == [Started(0.0), Stopped(2.0)]
    assert heard.playhead.beat_at(3 * SECOND_NS) == 2.0
    assert heard.playhead.beat_at(SECOND_NS // 2) == pytest.approx(1.0)


def test_a_place_to_stand_at_is_news_when_it_is_another_one() -> None:
    heard = Heard()
    heard.playhead.stand_at(0.2, 0)
    assert (heard.changes, heard.breaks) == ([], [])
    heard.playhead.stand_at(0.5, SECOND_NS)
    assert (heard.changes, heard.breaks) == ([Located(0.5)], [(0.5, SECOND_NS)])
    assert heard.playhead.beat_at(SECOND_NS) == 0.5


def test_what_is_too_far_to_be_bent_is_off() -> None:
    playhead = Heard().playhead
    assert not playhead.is_off(0.25, 0)
    assert playhead.is_off(0.26, 0)
    assert playhead.is_off(-0.26, 0)


def test_a_line_a_beat_off_is_lost_one_a_quarter_off_is_not() -> None:
    playhead = Heard().playhead
    playhead.follow(line_from(0), 0)
    assert playhead.is_lost(3.1, SECOND_NS)
    assert playhead.is_off(2.3, SECOND_NS)
    assert not playhead.is_lost(2.3, SECOND_NS)
