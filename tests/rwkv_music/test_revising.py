"""A completion whose parameters change on the way: as if the change had been known before."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rwkv_music.continuation import CompletionNote, CompletionRequest, Continuation, Revision
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.music import Meter, Note
from rwkv_music.sampling import Sampling
from rwkv_music.takes import Takes
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
MODEL = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=3)), VOCABULARY)
FOUR = Meter(4, 4)
FAR = 10_000
END = (FAR, 0)
BARS = 4
LOW = Sampling(pitch_low=21, pitch_high=40)
HIGH = Sampling(pitch_low=70, pitch_high=80)
BEFORE = Note(5, 60, 79, 6)


def continuation(joins: bool = False, **wishes: Any) -> Continuation[Any]:
    """From an empty state; or from step 7 of a bar in which a note was heard."""
    state = MODEL.start()
    request = CompletionRequest(BARS, FOUR, 120.0, **wishes)
    if joins:
        MODEL.open_bar(state, FOUR, 120.0)
        MODEL.hear_notes(state, [BEFORE])
        request = replace(request, first_step=7, opened=True, after=BEFORE)
    return Continuation(MODEL, state, request, seed=11)


def make(c: Continuation[Any], until_steps: int = FAR) -> list[CompletionNote]:
    until = divmod(until_steps, FOUR.steps)
    return list(iter(lambda: c.next_note(until), None))  # type: ignore[arg-type]


def revision(bar: int, step: int, sampling: Sampling = HIGH, let_ring: bool = False) -> Revision:
    return Revision(bar, step, sampling, let_ring)


def revised(ahead_steps: int, *revisions: Revision, joins: bool = False) -> list[CompletionNote]:
    """Each revision comes when so much has been made beyond its place."""
    c = continuation(joins, sampling=LOW)
    notes: list[CompletionNote] = []
    for change in revisions:
        notes += make(c, change.bar * FOUR.steps + change.step + ahead_steps)
        c.revise(change)
        notes = [note for note in notes if note.place < change.place]
    notes += make(c)
    assert c.finished
    return notes


PLACES = [(0, 8), (0, 30), (1, 0), (1, 47), (2, 1), (3, 40)]


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_before_it_nothing_changes_and_from_it_on_everything(
    place: tuple[int, int], joins: bool
) -> None:
    unchanged = make(continuation(joins, sampling=LOW))
    notes = revised(0, revision(*place), joins=joins)
    assert [n for n in notes if n.place < place] == [n for n in unchanged if n.place < place]
    later = [n.note.pitch for n in notes if n.place >= place]
    assert all(70 <= pitch <= 80 for pitch in later)
    assert later or place == PLACES[-1]
    assert [n.place for n in notes] == sorted(n.place for n in notes)


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_it_does_not_matter_how_much_was_made_ahead(place: tuple[int, int], joins: bool) -> None:
    known_before = revised(-FAR, revision(*place), joins=joins)
    for ahead_steps in (-5, 0, 1, 12, 50, 96, FAR):
        assert revised(ahead_steps, revision(*place), joins=joins) == known_before


def test_a_knob_that_is_turned_revises_again_and_again() -> None:
    turns = [
        revision(0, 20 + 3 * k, Sampling(temperature=0.5 + 0.1 * k, density=2.0)) for k in range(9)
    ]
    turns += [revision(1, 4), revision(1, 4, LOW)]
    assert revised(-FAR, *turns) == revised(0, *turns) == revised(60, *turns)


def test_what_is_half_made_counts_for_nothing() -> None:
    """A revision may come between two tokens of a note."""
    place = (1, 10)
    expected = revised(-FAR, revision(*place))
    for steps in range(1, 60, 3):
        c = continuation(sampling=LOW)
        notes = []
        for _ in range(steps):
            proposal = c.wants(END)
            if proposal is not None:
                MODEL.advance([proposal])
            note = c.take(END)
            notes += [] if note is None else [note]
        c.revise(revision(*place))
        notes = [n for n in notes if n.place < place] + make(c)
        assert notes == expected


def test_the_state_has_heard_what_is_left() -> None:
    c = continuation(sampling=LOW)
    make(c, 100)
    c.revise(revision(1, 20))
    notes = [n for n in make(continuation(sampling=LOW)) if n.place < (1, 20)] + make(c)
    heard = MODEL.start()
    for bar in range(BARS):
        MODEL.open_bar(heard, FOUR, 120.0)
        MODEL.hear_notes(heard, [n.note for n in notes if n.bar == bar])
    np.testing.assert_allclose(c.state.engine, heard.engine, atol=1e-4)


def test_an_early_bar_of_a_long_completion_can_be_made_again() -> None:
    """The states of its bars are not kept: it is heard up to there."""
    long = CompletionRequest(12, FOUR, 120.0, sampling=LOW)
    made = Continuation(MODEL, MODEL.start(), long, seed=11)
    make(made)
    fresh = Continuation(MODEL, MODEL.start(), long, seed=11)
    for c in (made, fresh):
        c.revise(revision(4, 5))
    before = make(fresh, 4 * FOUR.steps + 5)
    assert [*before, *make(made)] == [*before, *make(fresh)]


def test_meters_stay_those_that_were_told() -> None:
    c = continuation(sampling=LOW)
    make(c, 40)
    c.set_header(1, Meter(3, 4), 90.0)
    make(c, 60)
    c.set_header(2, FOUR, 120.0)
    make(c, 100)
    c.revise(revision(0, 20))
    lines = {(n.bar, n.start_step - n.note.onset) for n in make(c)}
    assert lines <= {(0, 0), (1, 48), (2, 84), (3, 132)}
    assert len(lines) >= 3


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("place", [(1, 0), (1, 13), (2, 5)])
@pytest.mark.parametrize("first", [0, 1])
def test_a_bar_that_is_open_already_has_its_new_meter_when_it_is_revised(
    place: tuple[int, int], joins: bool, first: int
) -> None:
    """As if the meter had been known before, but for the notes that are there."""
    three = Meter(3, 4)
    c = continuation(joins, sampling=LOW)
    made = make(c, 130)
    c.set_header(first, three, 90.0)
    c.revise(revision(*place))
    kept = [n for n in made if n.place < place and (n.bar < first or n.note.onset < three.steps)]
    notes = [*kept, *make(c)]
    assert all(n.note.onset < three.steps for n in notes if n.bar >= first)
    assert {n.start_step - n.note.onset for n in notes if n.bar == 3} <= {3 * 36 + 12 * first}
    heard = MODEL.start()
    for bar in range(BARS):
        if bar == 0 and joins:
            MODEL.open_bar(heard, FOUR, 120.0)
            MODEL.hear_notes(heard, [BEFORE])
        else:
            MODEL.open_bar(heard, *((three, 90.0) if bar >= first else (FOUR, 120.0)))
        after = BEFORE if bar == 0 and joins else None
        MODEL.hear_notes(heard, [n.note for n in notes if n.bar == bar], after)
    np.testing.assert_allclose(c.state.engine, heard.engine, atol=1e-4)


def test_constraints_remember_what_was_left() -> None:
    """One voice at a time: a note that sounds over the place is a voice."""
    one = Sampling(polyphony=1, temperature=1.5, top_p=1.0)
    c = continuation(sampling=one)
    first = [n for n in make(c, 100) if n.place < (1, 6)]
    c.revise(revision(1, 6, replace(one, pitch_low=60)))
    notes = [*first, *make(c)]
    for before, after in pairwise(notes):
        assert before.start_step + before.note.duration <= after.start_step


def test_let_ring_can_be_wished_for_on_the_way() -> None:
    lengths = []
    for let_ring in (False, True):
        rings = False
        for seed in range(6):
            request = CompletionRequest(2, FOUR, 120.0, sampling=Sampling(top_p=1.0))
            c = Continuation(MODEL, MODEL.start(), request, seed)
            make(c, 50)
            c.revise(revision(1, 4, Sampling(top_p=1.0), let_ring))
            rings = rings or any(n.start_step + n.note.duration > 96 for n in make(c))
        lengths.append(rings)
    assert lengths == [False, True]


def test_all_takes_are_revised_and_new_ones_are_drawn_as_is_wished_now() -> None:
    takes = Takes(MODEL, MODEL.start(), CompletionRequest(2, FOUR, 120.0, LOW), (1, 2))
    while takes.advance(END):
        pass
    takes.revise(revision(1, 0))
    assert all(note.bar == 0 for take in takes.takes for note in take.notes)
    assert not any(take.finished for take in takes.takes)
    while takes.advance(END):
        pass
    for take in takes.takes:
        assert take.finished
        assert all((note.note.pitch < 60) == (note.bar == 0) for note in take.notes)
    again = takes.again((3,), HIGH, False)
    while again.advance(END):
        pass
    assert all(70 <= note.note.pitch <= 80 for note in again.takes[0].notes)
