"""Takes of one state: made together, chosen until the player goes on, made anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from performances import fresh_state
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, hung, lift, ms, onsets_ms, press, running

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
RWKV = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=5)), VOCABULARY)


def offering(takes: int = 3, until_ms: float = 4100, **generation: Any) -> Rehearsal:
    """A completion of one bar from bar 1 on has been played, and bar 2 is open."""
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    wishes = Generation(**{"bars": 1, "takes": takes, "seed": 40, **generation})
    seeds = iter(range(1000, 2000))
    r = Rehearsal(RWKV, wishes, transport, new_seed=lambda: next(seeds))
    r.play(press(60), ms(100))
    r.play(lift(60), ms(400))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(until_ms))
    return r


def played(r: Rehearsal) -> dict[int, list[tuple[Any, ...]]]:
    """By request, the notes with their steps counted from the bar line."""
    notes: dict[int, list[tuple[Any, ...]]] = {}
    for request, beat, *rest in events(r, "/rwkv/note/played"):
        notes.setdefault(request, []).append((round(beat % 4 * 12), *rest))
    return notes


def test_every_take_is_told_with_its_seed_when_it_is_complete() -> None:
    r = offering(3)
    takes = events(r, "/rwkv/take")
    assert sorted((request, take, bars, seed) for request, take, bars, _, seed in takes) == [
        (1, 0, 1, 40),
        (1, 1, 1, 41),
        (1, 2, 1, 42),
    ]
    assert dict(takes_notes(takes))[0] == len(played(r)[1])


def takes_notes(takes: list[tuple[Any, ...]]) -> list[tuple[int, int]]:
    return [(take, notes) for _, take, _, notes, _ in takes]


def test_takes_as_one_batch_are_what_each_would_be_alone() -> None:
    together = played(offering(3, seed=40))[1]
    alone = played(offering(1, seed=40))[1]
    assert together == alone


def test_the_next_take_plays_at_the_next_line_and_then_the_first_again() -> None:
    r = offering(2)
    for request, line in [(2, 2), (3, 4)]:
        assert r.conductor.select(r.clock.now_ns(), None) == (request, line + 1)
        r.run_until_ns(ms((line + 2) * 2000 + 100))
    assert played(r)[2] == played(offering(1, seed=41))[1]
    assert played(r)[3] == played(r)[1]
    assert hung(r) == set()


def test_a_selected_take_cuts_the_one_that_plays_on_the_bar_line() -> None:
    r = offering(2, bars=4)  # bars 1 to 4 play
    r.run_until_ns(ms(5000))
    assert r.conductor.select(r.clock.now_ns(), 1) == (2, 3)
    r.run_until_ns(ms(5990))
    assert r.conductor.state == "playing"
    r.run_until_ns(ms(6100))
    assert [done[0] for done in events(r, "/rwkv/done")] == [1]
    assert all(beat < 12 for request, beat, *_ in events(r, "/rwkv/note/played") if request == 1)
    r.run_until_ns(ms(15_000))
    assert [done[0] for done in events(r, "/rwkv/done")] == [1, 2]
    assert hung(r) == set()


def test_takes_can_be_chosen_until_a_bar_of_the_players_was_heard() -> None:
    r = offering(2)
    r.play(press(64), ms(4200))
    r.play(lift(64), ms(4300))
    assert r.conductor.select(r.clock.now_ns(), 1)[0] == 2
    r.conductor.stop(r.clock.now_ns())
    r.run_until_ns(ms(6100))
    with pytest.raises(OscError) as error:
        r.conductor.select(r.clock.now_ns(), 1)
    assert error.value.code == 406


def test_a_take_that_there_is_not_changes_nothing() -> None:
    r = offering(2)
    with pytest.raises(OscError) as error:
        r.conductor.select(r.clock.now_ns(), 2)
    assert error.value.code == 422
    assert r.conductor.state == "listening"
    r.transport.stop(r.clock.now_ns())
    r.step()
    with pytest.raises(OscError):
        r.conductor.select(r.clock.now_ns(), 2)
    assert not r.transport.playing


def test_regenerate_offers_takes_that_begin_otherwise() -> None:
    for temperature in (0.0, 0.95):
        r = offering(2, temperature=temperature)
        beginnings = {tuple(n[:2] for n in played(r)[1][:4])}
        for request in (2, 3):
            assert r.conductor.regenerate(r.clock.now_ns())[0] == request
            r.run_until_ns(r.clock.now_ns() + ms(4000))
            beginnings.add(tuple(n[:2] for n in played(r)[request][:4]))
        assert len(beginnings) == 3


def test_a_take_plays_at_once_when_the_transport_stands_still() -> None:
    r = offering(2)
    r.transport.stop(r.clock.now_ns())
    r.step()
    asked_ns = r.clock.now_ns()
    assert r.conductor.select(asked_ns, 1) == (2, 0)
    r.run_until_ns(asked_ns + ms(3000))
    first = min(beat for request, beat, *_ in events(r, "/rwkv/note/played") if request == 2)
    assert first < 4
    assert played(r)[2] == played(offering(1, seed=41))[1]


@pytest.mark.parametrize("pressed_ms", [5981, 5993, 5998])
@pytest.mark.parametrize("deed", ["next", "again", "trigger"])
def test_a_second_press_just_before_the_line_takes_the_place_of_the_first(
    deed: str, pressed_ms: float
) -> None:
    r = running(bars=8, takes=3)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(5000))
    assert r.conductor.select(r.clock.now_ns(), None) == (2, 3)
    r.run_until_ns(ms(pressed_ms))  # the worker has been asked for the second take
    now_ns = r.clock.now_ns()
    match deed:
        case "next":
            accepted = r.conductor.select(now_ns, None)
        case "again":
            accepted = r.conductor.regenerate(now_ns)
        case _:
            accepted = r.conductor.trigger(now_ns)
    assert accepted == (3, 3)
    r.run_until_ns(ms(14_000 - 10))
    assert onsets_ms(r) == pytest.approx([2000 + 500 * k for k in range(24)], abs=4.1)
    assert [done[0] for done in events(r, "/rwkv/done")] == [1]
    assert {n[0] for n in events(r, "/rwkv/note/played")} == {1, 3}
    r.run_until_ns(ms(23_000))
    assert [done[0] for done in events(r, "/rwkv/done")] == [1, 3]
    assert hung(r) == set()


@pytest.mark.parametrize("undone_ms", [2700, 3995, 4100, 8100])  # playing, over, long over
@pytest.mark.parametrize("asked_ms", [100, 4100])  # later: so much silence has passed since
def test_undo_then_the_same_seed_gives_the_same_take(undone_ms: float, asked_ms: float) -> None:
    early = 45  # a seed whose first notes sound at 2700 ms
    r = offering(1, until_ms=undone_ms, seed=early)
    heard = played(offering(1, seed=early))[1]
    r.conductor.undo(r.clock.now_ns())
    r.run_until_ns(ms(undone_ms + asked_ms))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(r.clock.now_ns() + ms(6000))
    assert played(r)[2] == heard
    assert len(heard) > 4
    assert len(r.conductor.assembler.bars) > 1


def test_after_undo_and_a_note_silence_is_music_again() -> None:
    r = offering(1)
    r.conductor.undo(r.clock.now_ns())
    for pitch in (62, 64):
        r.play(press(pitch))
        r.run_until_ns(r.clock.now_ns() + ms(200))
        r.play(lift(pitch))
        r.run_until_ns(r.clock.now_ns() + ms(6000))
    silent = [bar.is_silence for bar in r.conductor.assembler.bars if not bar.notes]
    assert sum(silent) >= 4
    live, fresh = r.worker.session.fork(), fresh_state(r, RWKV)
    np.testing.assert_allclose(live.engine, fresh.engine, atol=1e-4)


def test_a_selected_take_is_heard_on_the_next_bar_line() -> None:
    for asked_ms in (4100, 5000, 5970):  # until half a step before the line
        r = offering(2)
        r.run_until_ns(ms(asked_ms))
        first = r.conductor.select(r.clock.now_ns(), 1)
        assert first == (2, 3)
        r.run_until_ns(ms(9000))
        alone = played(offering(1, seed=41))[1]
        assert played(r)[2] == alone
        onset_ms = 6000 + alone[0][0] * 500 / 12
        assert onsets_ms(r)[len(played(r)[1])] == pytest.approx(onset_ms, abs=0.01)
