"""One suite for every model family: what protocol.MusicModel promises."""

from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rwkv_music.constraints import Constraints
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import TokenError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.protocol import BarRequest, propose
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import LONGEST_STEPS, METERS, Meter, Note, canonical
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import load_vocabulary

FOUR = Meter(4, 4)
CHORD = (Note(0, 60, 79, 12), Note(0, 64, 67, 12), Note(7, 21, 3, 1), Note(36, 108, 127, 96))


def tiny_rwkv():
    vocabulary = load_vocabulary()
    config = ModelConfig(2, 64, len(vocabulary), 8, 8, 8, 8)
    return RwkvMusicModel(NumpyEngine(random_weights(config, seed=2)), vocabulary)


FAMILIES = {"beats": ScriptedModel(), "steps": ScriptedModel("steps"), "rwkv": tiny_rwkv()}


@pytest.fixture(params=FAMILIES)
def model(request):
    return FAMILIES[request.param]


def same(one, other, tolerance=1e-5):
    """Whether two states are the same, as close as float32 can say."""
    return all(
        a == b if isinstance(a, int) else np.allclose(a, b, atol=tolerance, rtol=tolerance)
        for a, b in zip(astuple(one), astuple(other), strict=True)
    )


def heard(model, *bars):
    """The state after whole bars of 4/4 at 120, given as their notes."""
    state = model.start()
    for notes in bars:
        model.open_bar(state, FOUR, 120.0)
        model.hear_notes(state, notes)
    return state


def proposal(model, state, request, seed=0):
    return list(propose(model, state, request, np.random.default_rng(seed)))


def test_it_has_a_name(model):
    assert model.name


def test_starts_are_equal_and_independent(model):
    one, other = model.start(), model.start()
    assert same(one, other)
    model.open_bar(one, FOUR, 120.0)
    assert not same(one, other)
    assert same(other, model.start())


def test_forks_are_independent(model):
    state = heard(model, CHORD)
    fork = model.fork(state)
    assert same(fork, state)
    model.open_bar(fork, FOUR, 120.0)
    model.hear_notes(fork, CHORD[:1])
    assert same(state, heard(model, CHORD))
    assert not same(fork, state)
    model.open_bar(state, FOUR, 120.0)
    model.hear_notes(state, CHORD[:1])
    assert same(fork, state)


@pytest.mark.parametrize("cuts", [(1,), (2,), (3,), (1, 2, 3), (0, 4)])
def test_hearing_in_pieces_is_hearing_at_once(model, cuts):
    state = heard(model, ())
    edges = [0, *cuts, len(CHORD)]
    for start, stop in pairwise(edges):
        model.hear_notes(state, CHORD[start:stop], CHORD[start - 1] if start else None)
    assert same(state, heard(model, CHORD))


def test_what_is_heard_makes_a_difference(model):
    state = heard(model, CHORD)
    for i, note in enumerate(CHORD):
        for other in (
            replace(note, velocity=50),
            replace(note, duration=20),
            replace(note, pitch=note.pitch - 1 if note.pitch == 108 else note.pitch + 1),
        ):
            changed = (*CHORD[:i], other, *CHORD[i + 1 :])
            assert not same(state, heard(model, changed))
    slower, waltz = model.start(), model.start()
    model.open_bar(slower, FOUR, 60.0)
    model.open_bar(waltz, Meter(3, 4), 120.0)
    opened = heard(model, ())
    assert not same(slower, opened)
    assert not same(waltz, opened)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ((), Note(0, 20, 80, 1)),
        ((), Note(0, 109, 80, 1)),
        ((), Note(0, 60, 0, 1)),
        ((), Note(0, 60, 128, 1)),
        ((), Note(0, 60, 80, 0)),
        ((), Note(-1, 60, 80, 1)),
        ((), Note(96, 60, 80, 1)),
        (CHORD, Note(36, 108, 80, 1)),
        (CHORD, Note(0, 60, 80, 1)),
    ],
)
def test_a_bad_note_leaves_the_state_unmoved(model, good, bad):
    state = heard(model, good)
    before = model.fork(state)
    later = Note(40, 60, 79, 1)
    with pytest.raises(TokenError):
        model.hear_notes(state, (bad, later), good[-1] if good else None)
    assert same(state, before, 0)
    with pytest.raises(TokenError):
        model.hear_notes(state, (later, bad) if not good else (bad,), good[-1] if good else None)
    assert same(state, before, 0)


@pytest.mark.parametrize("at_least", [1, 5, 12, 13, 95, 96])
def test_the_expected_duration_is_long_enough_and_the_state_stays(model, at_least):
    state = heard(model, CHORD[:2])
    before = model.fork(state)
    for note in (Note(0, 67, 80, 1), Note(24, 40, 80, 1)):
        steps = model.expected_duration(state, note, CHORD[1], at_least)
        assert at_least <= steps <= LONGEST_STEPS
        assert steps == model.expected_duration(
            state, replace(note, duration=9), CHORD[1], at_least
        )
    assert same(state, before, 0)
    with pytest.raises(TokenError):
        model.expected_duration(state, Note(0, 60, 80, 1), CHORD[1], at_least)


SAMPLINGS = (
    Sampling(),
    Sampling(temperature=0),
    Sampling(temperature=2, top_p=1),
    Sampling(top_k=1),
    Sampling(key="D", pitch_low=50, pitch_high=70, polyphony=2, density=0.3),
    Sampling(key="F#", scale="blues", pitch_low=61, pitch_high=61, density=0),
    Sampling(density=4, velocity_scale=0.3, repetition_penalty=1.7, min_p=0.1),
)


@st.composite
def requests(draw):
    meter = draw(st.sampled_from(METERS))
    steps = st.integers(0, meter.steps - 1)
    note = st.builds(Note, steps, st.integers(21, 108), st.just(79), st.just(2))
    return BarRequest(
        meter=meter,
        first_step=draw(steps),
        needs_note=draw(st.booleans()),
        steps_to_end=draw(st.none() | st.integers(1, 3 * meter.steps)),
        after=draw(st.none() | note),
        sampling=draw(st.sampled_from(SAMPLINGS)),
    )


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(request=requests(), seed=st.integers(0, 5))
def test_proposals_keep_to_the_request_and_move_the_state_as_hearing_does(model, request, seed):
    state = model.start()
    model.open_bar(state, request.meter, 120.0)
    if request.after is not None:
        model.hear_notes(state, (request.after,))
    told = model.fork(state)
    end = request.meter.steps if request.steps_to_end is None else request.steps_to_end
    last = request.after

    notes = []
    for note in propose(model, state, request, np.random.default_rng(seed)):
        model.hear_notes(told, (note,), last)
        last = note
        notes.append(note)
        assert same(state, told, 1e-4)

    assert canonical(notes) == tuple(notes)
    for note in notes:
        assert request.first_step <= note.onset < min(request.meter.steps, end)
        assert 1 <= note.duration <= LONGEST_STEPS
        assert request.steps_to_end is None or note.end <= request.steps_to_end
        assert request.after is None or (note.onset, note.pitch) > (
            request.after.onset,
            request.after.pitch,
        )
    room = max(request.first_step, -1 if request.after is None else request.after.onset + 1)
    if request.needs_note and room < min(request.meter.steps, end):
        assert notes

    model.open_bar(state, FOUR, 120.0)
    model.open_bar(told, FOUR, 120.0)
    assert same(state, told, 1e-4)


def test_the_same_seed_plays_the_same_notes(model):
    request = BarRequest(FOUR, needs_note=True)
    state = heard(model, CHORD, ())
    first = proposal(model, model.fork(state), request, seed=3)
    assert first == proposal(model, model.fork(state), request, seed=3)
    assert first == proposal(model, heard(model, CHORD, ()), request, seed=3)


def test_one_note_is_made_for_each_next(model):
    state = heard(model, CHORD, ())
    whole = proposal(model, model.fork(state), BarRequest(FOUR, needs_note=True), seed=3)
    notes = propose(model, state, BarRequest(FOUR, needs_note=True), np.random.default_rng(3))
    before = model.fork(state)
    assert next(notes) == whole[0]
    model.hear_notes(before, whole[:1])
    assert same(state, before)


def test_constraints_may_live_through_many_bars(model):
    sampling = Sampling(temperature=1.5, top_p=1, polyphony=1)
    constraints = Constraints(sampling)
    state, rng = model.start(), np.random.default_rng(0)
    for _ in range(6):
        model.open_bar(state, FOUR, 120.0)
        request = BarRequest(FOUR, sampling=sampling, constraints=constraints)
        for note in propose(model, state, request, rng):
            assert 0 <= note.onset < FOUR.steps


def test_the_expected_duration_holds_until_it_is_outlasted(model):
    """Or the state would have to be corrected with every step that a key stays down."""
    state = heard(model, CHORD)
    answers = [
        model.expected_duration(state, Note(40, 60, 80, 1), CHORD[-1], n)
        for n in range(1, LONGEST_STEPS + 1)
    ]
    assert len(set(answers)) > 1
    for at_least, expected in enumerate(answers, 1):
        assert {expected} == set(answers[at_least - 1 : expected])
