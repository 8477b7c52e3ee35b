"""What follows a completion that plays: that one sounds to its end, to the last note."""

from __future__ import annotations

from typing import Any

import pytest
from performances import fresh_state
from rwkv_music_daemon.messages import Failed
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, hung, ms, onsets_ms, running

from rwkv_music.model.scripted import ScriptedModel

STEP_MS = 500 / 12


def slow(lead_ms: float, worker_ms: float = 0, **generation: Any) -> Rehearsal:
    """A note on every step; the worker is known to need so long for a first chord."""
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    wishes = Generation(**{"bars": 1, **generation})
    r = Rehearsal(ScriptedModel("steps"), wishes, transport, worker_ns=ms(worker_ms))
    r.conductor.worker_up("steps", ms(lead_ms))
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2600))
    return r


@pytest.mark.parametrize("lead_ms", [0, 300, 600, 1200])
@pytest.mark.parametrize("horizon_beats", [0.25, 0.5, 1, 8])
def test_not_a_note_is_lost_however_long_before_its_end_the_next_is_asked_for(
    lead_ms: float, horizon_beats: float
) -> None:
    r = slow(lead_ms, horizon_beats=horizon_beats)
    assert r.conductor.trigger(r.clock.now_ns()) == (2, 2)
    r.run_until_ns(ms(7000))
    assert onsets_ms(r) == pytest.approx([2000 + k * STEP_MS for k in range(96)], abs=0.001)
    assert [done[:5] for done in events(r, "/rwkv/done")] == [(1, 1, 48, 0, 0), (2, 1, 48, 0, 0)]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


@pytest.mark.parametrize(("before_ms", "start_bar"), [(50, 2), (46, 2), (43, 3), (30, 3), (1, 3)])
def test_what_cannot_begin_in_time_where_the_other_ends_begins_a_bar_later(
    before_ms: float, start_bar: int
) -> None:
    r = slow(40, worker_ms=10)
    r.run_until_ns(ms(4000 - before_ms))
    assert r.conductor.trigger(r.clock.now_ns()) == (2, start_bar)
    r.run_until_ns(ms(9000))
    following = [t for t in onsets_ms(r) if t > 3999]
    assert following[0] == pytest.approx(2000 * start_bar, abs=0.001)
    assert [done[3:5] for done in events(r, "/rwkv/done")] == [(0, 0), (0, 0)]


def test_what_takes_the_place_of_such_a_one_begins_there_too() -> None:
    r = slow(40, worker_ms=10)
    for before_ms, request in ((30, 2), (20, 3)):
        r.run_until_ns(ms(4000 - before_ms))
        assert r.conductor.trigger(r.clock.now_ns()) == (request, 3)
    r.run_until_ns(ms(9000))
    assert next(t for t in onsets_ms(r) if t > 3999) == pytest.approx(6000, abs=0.001)
    assert [done[:5] for done in events(r, "/rwkv/done")] == [(1, 1, 48, 0, 0), (3, 1, 48, 0, 0)]


def test_a_take_that_is_chosen_leaves_what_plays_whole_up_to_its_place() -> None:
    r = slow(600, horizon_beats=0.25, bars=4, takes=2)
    r.conductor.select(r.clock.now_ns(), 1)  # from 4000 on
    r.run_until_ns(ms(13_000))
    expected = [2000 + k * STEP_MS for k in range(48 * 5)]
    assert onsets_ms(r) == pytest.approx(expected, abs=0.001)
    assert [done[:3] for done in events(r, "/rwkv/done")] == [(1, 4, 48), (2, 4, 192)]


def test_it_does_so_when_a_parameter_changes_before_the_worker_has_made_all_of_that() -> None:
    r = slow(600, worker_ms=10, horizon_beats=0.25, bars=4, takes=2)
    request, _ = r.conductor.select(r.clock.now_ns(), 1)  # from 4000 on
    r.run_until_ns(ms(2900))
    r._free_ns = ms(3450)  # something holds it up
    r.run_until_ns(ms(3400))
    assert r.conductor.performer.of_request(request) is not None  # it has been asked for
    r.ask("/rwkv/set/temperature", 0.5)
    r.run_until_ns(ms(13_000))
    expected = [2000 + k * STEP_MS for k in range(48 * 5)]
    assert onsets_ms(r) == pytest.approx(expected, abs=0.001)
    assert [done[:3] for done in events(r, "/rwkv/done")] == [(1, 4, 48), (2, 4, 192)]


def test_a_queued_request_that_is_withdrawn_leaves_what_plays_as_it_is() -> None:
    r = slow(600, horizon_beats=0.25, bars=2)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(5500))  # it has been asked for
    r.conductor.performer.disarm()
    r.ask("/rwkv/set/temperature", 0.5)  # a beat later: there is no note to be made anew
    r.run_until_ns(ms(9000))
    assert len(onsets_ms(r)) == 96
    assert r.conductor.state == "listening"


def test_a_queued_request_that_fails_leaves_what_plays() -> None:
    r = slow(0, bars=4)
    request, _ = r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(9990))  # it has been asked for
    r.conductor.worker(Failed(500, "no token is left", request), r.clock.now_ns())
    assert r.conductor.state == "playing"
    r.run_until_ns(ms(13_000))
    assert len(onsets_ms(r)) == 4 * 48
    assert [done[0] for done in events(r, "/rwkv/done")] == [1]
    assert events(r, "/rwkv/error")[0][:2] == (500, "no token is left")
    assert hung(r) == set()


def test_a_completion_that_fails_ends_and_releases_its_notes() -> None:
    r = running(bars=4)
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2750))
    r.conductor.worker(Failed(500, "no token is left", 1), r.clock.now_ns())
    assert r.conductor.state == "listening"
    assert hung(r) == set()


@pytest.mark.parametrize("early_ms", [39, 37, 33, 29, 25, 21])
def test_what_was_made_before_an_undo_is_not_played_with_what_is_made_after_it(
    early_ms: float,
) -> None:
    """What is armed is asked for again, in time for its line; a note of the first asking is still
    on its way."""
    transport = Transport(60.0, None, "internal")
    transport.play(0)
    r = Rehearsal(
        ScriptedModel("steps"), Generation(bars=1, horizon_beats=4), transport, worker_ns=ms(4)
    )
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(9000))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(12_000 - early_ms))
    assert r.conductor.performer.needs_worker
    r.conductor.undo(r.clock.now_ns())
    r.run_until_ns(ms(18_000))
    played = [beat for request, beat, *_ in events(r, "/rwkv/note/played") if request == 2]
    assert played == [12 + step / 12 for step in range(48)]
    assert [args[0] for args in events(r, "/rwkv/take")] == [1, 2]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel("steps"))
