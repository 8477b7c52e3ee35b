"""Offline work over OSC, beside the live music."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rwkv_music_daemon.compositions import MOST_AT_ONCE, NOTES_PER_MESSAGE
from rwkv_music_daemon.messages import Compose
from rwkv_music_daemon.osc.framing import Message
from rwkv_music_daemon.osc.table import match
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, heard_bars, ms, play_note, running

from rwkv_music.composing import bars_of_notes, composing, notes_of_bars
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.memory import load_memory
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
RWKV = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=5)), VOCABULARY)

NOTES = [(0.0, 60, 80, 1.0), (2.0, 64, 80, 0.5), (7.5, 67, 90, 3.0)]  # two bars of 4/4


def compose(r: Rehearsal, ident: str, notes: list[tuple[Any, ...]], bars: int, *seed: int) -> None:
    r.ask("/rwkv/compose/begin", ident, 100.0, 4, 4)
    for number, note in enumerate(notes):
        r.ask("/rwkv/compose/notes", ident, number, *note)
    r.ask("/rwkv/compose/run", ident, len(notes), bars, *seed)


def results(replies: list[tuple[str, tuple[Any, ...]]], ident: str) -> list[tuple[Any, ...]]:
    values = [
        v for a, args in replies if a.endswith("result") and args[0] == ident for v in args[2:]
    ]
    return [tuple(values[i : i + 4]) for i in range(0, len(values), 4)]


def test_the_continuation_starts_on_the_line_after_the_context() -> None:
    r = running()
    compose(r, "clip", NOTES, 2, 5)
    r.run_until_ns(ms(100))
    replies = r.replies()
    assert replies[-1] == ("/rwkv/compose/done", ("clip", 8, 5))
    notes = results(replies, "clip")
    assert [note[0] for note in notes] == [8.0 + k for k in range(8)]
    assert [note[1] for note in notes] == [60, 61, 62, 63] * 2
    assert all(beat + beats <= 16 for beat, _, _, beats in notes)


def test_long_results_come_in_pieces_that_fit_a_datagram() -> None:
    r = running("steps")
    compose(r, "clip", NOTES, 4)
    r.run_until_ns(ms(500))
    replies = r.replies()
    firsts = [args[1] for address, args in replies if address.endswith("result")]
    assert firsts == [0, 60, 120, 180]
    assert replies[-1][1][:2] == ("clip", 192)


def test_the_live_state_and_what_plays_go_on_as_if_nothing_were() -> None:
    alone, beside = running(), running()
    for r in (alone, beside):
        r.conductor.trigger(r.clock.now_ns())
        r.run_until_ns(ms(2500))
    compose(beside, "clip", NOTES, 16)
    for r in (alone, beside):
        r.run_until_ns(ms(9000))
    assert heard_bars(alone) == heard_bars(beside)
    assert [m for _, m in alone.sent] == [m for _, m in beside.sent]
    assert alone.worker.session.fork() == beside.worker.session.fork()
    assert beside.replies()[-1][0] == "/rwkv/compose/done"
    assert events(beside, "/rwkv/done")[0][3:5] == (0, 0)


def test_missing_notes_are_asked_for_and_may_be_sent_again() -> None:
    r = running()
    r.ask("/rwkv/compose/begin", "clip", 100.0, 4, 4)
    r.ask("/rwkv/compose/notes", "clip", 1, *NOTES[1])
    r.ask("/rwkv/compose/run", "clip", 3, 1)
    (error,) = r.replies()
    assert error[1][0] == 412
    assert "2 of 3" in error[1][1]
    for number in (0, 1, 2):
        r.ask("/rwkv/compose/notes", "clip", number, *NOTES[number])
    r.ask("/rwkv/compose/run", "clip", 3, 1)
    r.run_until_ns(ms(100))
    assert r.replies()[-1][0] == "/rwkv/compose/done"


def test_an_id_that_was_not_begun_is_404() -> None:
    r = running()
    r.ask("/rwkv/compose/run", "nobody", 0, 1)
    assert r.replies()[0][1][0] == 404


def test_a_note_is_placed_as_late_as_any_may_be() -> None:
    r = running()
    compose(r, "clip", [(20_000.0, 60, 80, 1.0)], 1)
    r.run_until_ns(ms(100))
    assert [note[0] for note in results(r.replies(), "clip")] == [20_004, 20_005, 20_006, 20_007]


def test_more_than_are_served_at_once_are_409_until_one_is_done() -> None:
    r = running()
    for number in range(MOST_AT_ONCE):
        compose(r, f"clip {number}", [], 1)
    r.ask("/rwkv/compose/begin", "one more", 100.0, 4, 4)
    assert [args[0] for address, args in r.replies() if address == "/rwkv/error"] == [409]
    r.ask("/rwkv/compose/run", "one more", 0, 1)
    assert [args[0] for address, args in r.replies() if address == "/rwkv/error"] == [404]
    r.run_until_ns(ms(500))
    compose(r, "one more", [], 1)
    r.run_until_ns(ms(600))
    done = [args[0] for address, args in r.replies() if address == "/rwkv/compose/done"]
    assert done == [*(f"clip {number}" for number in range(MOST_AT_ONCE)), "one more"]


@pytest.mark.parametrize("begins", [True, False])
def test_what_is_run_again_is_not_computed_twice(begins: bool) -> None:
    """An impatient user, or a script in a loop: the last answer need not wait for the others."""
    transport = Transport(120.0, None, "internal")
    r = Rehearsal(ScriptedModel(), Generation(), transport, worker_ns=ms(1))
    compose(r, "other", NOTES, 1, 1)
    compose(r, "clip", NOTES, 64, 2)
    for seed in range(3, 40):
        r.run_until_ns(r.clock.now_ns() + ms(10))
        if begins:
            compose(r, "clip", NOTES, 64, seed)
        else:
            r.ask("/rwkv/compose/run", "clip", len(NOTES), 64, seed)
    r.run_until_ns(r.clock.now_ns() + ms(10))
    assert len(r.worker._offline._jobs) <= 2
    assert r.aside.busy
    r.run_until_ns(r.clock.now_ns() + ms(3000))
    done = [args for address, args in r.replies() if address == "/rwkv/compose/done"]
    assert done == [("other", 4, 1), ("clip", 64 * 4, 39)]
    assert not r.aside.busy
    assert r.worker._offline._notes == {}


def test_what_was_begun_first_and_never_run_makes_room() -> None:
    r = running()
    for number in range(MOST_AT_ONCE + 1):
        r.ask("/rwkv/compose/begin", f"clip {number}", 100.0, 4, 4)
    r.ask("/rwkv/compose/run", "clip 1", 0, 1)
    assert r.replies() == []
    r.ask("/rwkv/compose/run", "clip 0", 0, 1)
    assert [args[0] for _, args in r.replies()] == [404]


def test_from_nothing_it_composes_all_the_same() -> None:
    r = running()
    compose(r, "clip", [], 1)
    r.run_until_ns(ms(100))
    assert [note[0] for note in results(r.replies(), "clip")] == [0, 1, 2, 3]


@pytest.mark.parametrize("notes", [[], NOTES])
def test_it_composes_from_where_the_live_state_began(
    tmp_path: Path, notes: list[tuple[Any, ...]]
) -> None:
    """At the start, and then in a memory; what was heard live has no part in it."""
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    r = Rehearsal(RWKV, Generation(), transport, memory_folder=tmp_path)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    r.ask("/rwkv/memory/save", "a bar")
    r.run_until_ns(ms(2600))
    r.replies()
    memory = load_memory(tmp_path / "a bar.safetensors", RWKV)

    def composed() -> list[tuple[Any, ...]]:
        compose(r, "clip", notes, 1, 3)
        r.run_until_ns(r.clock.now_ns() + ms(900))
        return results(r.replies(), "clip")

    at_the_start = composed()
    assert at_the_start == expected(notes, None)
    r.ask("/rwkv/memory/load", "a bar")
    r.run_until_ns(ms(4000))
    in_the_memory = composed()
    assert in_the_memory == expected(notes, memory) != at_the_start
    r.ask("/rwkv/reset")
    assert composed() == at_the_start


def expected(notes: list[tuple[Any, ...]], start: Any) -> list[tuple[Any, ...]]:
    heard = bars_of_notes(notes, Meter(), 100.0)
    steps = composing(RWKV, heard, 1, Meter(), 100.0, Sampling(), 3, start)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return list(notes_of_bars(end.value, len(heard)))


def test_two_callers_do_not_mix() -> None:
    r = running()
    compose(r, "a", NOTES, 1, 1)
    compose(r, "b", NOTES[:1], 1, 2)
    r.run_until_ns(ms(100))
    replies = r.replies()
    assert [note[0] for note in results(replies, "a")] == [8, 9, 10, 11]
    assert [note[0] for note in results(replies, "b")] == [4, 5, 6, 7]


def test_an_id_that_is_begun_again_while_it_runs_gets_its_new_answer_only() -> None:
    r = running()
    r._worker_ns = ms(5)
    compose(r, "clip", NOTES, 1, 1)
    r.run_until_ns(ms(10))  # it runs
    compose(r, "clip", NOTES[:1], 1, 2)
    r.run_until_ns(ms(500))
    replies = r.replies()
    assert [note[0] for note in results(replies, "clip")] == [4, 5, 6, 7]
    assert [a for a, _ in replies if not a.endswith("result")] == ["/rwkv/compose/done"]
    assert replies[-1][1] == ("clip", 4, 2)
    assert not r.aside.busy


def test_a_long_context_goes_to_the_worker_a_little_at_a_time() -> None:
    """So that io, which has notes to send meanwhile, is never busy with one message for long."""
    r = running()
    notes = [(beat / 4, 60 + beat % 12, 80, 0.25) for beat in range(1000)]
    compose(r, "long", notes, 1, 1)
    assert not r._to_worker
    sizes = []
    while not any(isinstance(message, Compose) for message in r._to_worker):
        r._to_worker.clear()
        r.control.tick(0)
        (message,) = r._to_worker
        sizes.append(len(getattr(message, "notes", ())))
    assert max(sizes) == NOTES_PER_MESSAGE
    assert sum(sizes) == len(notes)


def test_too_many_at_once_are_409_and_who_waits_for_notes_makes_room() -> None:
    r = running()
    for number in range(MOST_AT_ONCE):
        r.ask("/rwkv/compose/begin", f"clip {number}", 100.0, 4, 4)
    for number in range(1, MOST_AT_ONCE):
        r.ask("/rwkv/compose/run", f"clip {number}", 0, 1)
    r.ask("/rwkv/compose/begin", "one more", 100.0, 4, 4)
    assert r.replies() == []
    r.ask("/rwkv/compose/run", "clip 0", 0, 1)
    assert r.replies()[0][1][0] == 404
    r.ask("/rwkv/compose/run", "one more", 0, 1)
    r.ask("/rwkv/compose/begin", "too many", 100.0, 4, 4)
    ((address, args),) = r.replies()
    assert (address, args[0]) == ("/rwkv/error", 409)
    r.run_until_ns(ms(500))
    done = [args[0] for address, args in r.replies() if address.endswith("done")]
    assert len(done) == MOST_AT_ONCE


def test_a_lost_worker_is_told_to_the_caller() -> None:
    r = running()
    r.ask("/rwkv/compose/begin", "clip", 100.0, 4, 4)
    r.ask("/rwkv/compose/run", "clip", 0, 1)
    r.aside.worker_lost()
    assert r.replies()[-1][1][0] == 500


def test_the_answer_goes_to_whoever_asked_for_it_though_another_sent_the_notes() -> None:
    r = running()
    r.ask("/rwkv/compose/begin", "clip", 100.0, 4, 4)
    r.ask("/rwkv/compose/notes", "clip", 0, *NOTES[0])
    asked = match(Message("/rwkv/compose/run", ("clip", 1, 1)))
    assert asked is not None
    r.control.carry_out(asked, ("another", 9), r.clock.now_ns())
    r.run_until_ns(ms(100))
    done = [to for to, address, _ in r.control.replies if address == "/rwkv/compose/done"]
    assert done == [("another", 9)]
