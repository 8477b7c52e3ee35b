import subprocess
import sys

import numpy as np
import pytest

from rwkv_music.errors import ConfigError, TokenError
from rwkv_music.model.protocol import BarRequest, propose
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import METERS, Meter, Note


def play(model, meter, **request):
    state = model.start()
    model.open_bar(state, meter, 120.0)
    if request.get("after"):
        model.hear_notes(state, (request["after"],))
    return list(propose(model, state, BarRequest(meter, **request), np.random.default_rng()))


@pytest.mark.parametrize("meter", METERS, ids=str)
def test_a_note_on_every_beat(meter):
    notes = play(ScriptedModel(), meter)
    assert [note.onset for note in notes] == list(range(0, meter.steps, 12))
    assert [note.pitch for note in notes] == [60 + i for i in range(len(notes))]
    for note, following in zip(notes, [*(n.onset for n in notes[1:]), meter.steps], strict=True):
        assert note.end == following - 1
        assert note.velocity == 79


@pytest.mark.parametrize("meter", METERS, ids=str)
def test_a_note_on_every_step(meter):
    notes = play(ScriptedModel("steps"), meter)
    assert notes == [Note(i, 60 + i % 2, 79, 1) for i in range(meter.steps)]


@pytest.mark.parametrize(("pitch", "first"), [(40, 0), (59, 0), (60, 12), (90, 12)])
def test_it_adds_to_a_chord_that_was_heard_where_its_note_is_higher(pitch, first):
    heard = Note(0, pitch, 79, 6)
    assert play(ScriptedModel(), Meter(4, 4), after=heard)[0].onset == first


def test_it_joins_inside_a_bar():
    four = Meter(4, 4)
    assert [n.onset for n in play(ScriptedModel(), four, first_step=13)] == [24, 36]
    assert [n.onset for n in play(ScriptedModel(), four, first_step=24)] == [24, 36]
    assert [n.onset for n in play(ScriptedModel("steps"), four, first_step=45)] == [45, 46, 47]
    after = Note(12, 100, 79, 4)
    assert [n.onset for n in play(ScriptedModel(), four, first_step=5, after=after)] == [24, 36]
    late = play(ScriptedModel(), four, first_step=40, needs_note=True)
    assert late == [Note(40, 63, 79, 7)]
    assert play(ScriptedModel(), four, first_step=40) == []
    assert play(ScriptedModel(), four, after=Note(47, 100, 79, 4), needs_note=True) == []


def test_nothing_leaves_the_completion():
    assert play(ScriptedModel(), Meter(4, 4), steps_to_end=20) == [
        Note(0, 60, 79, 11),
        Note(12, 61, 79, 8),
    ]
    assert play(ScriptedModel("steps"), Meter(4, 4), steps_to_end=2)[-1] == Note(1, 61, 79, 1)


def test_what_was_heard_is_digested_alike_in_every_process():
    model = ScriptedModel()
    state = model.start()
    model.open_bar(state, Meter(3, 4), 90.0)
    model.hear_notes(state, (Note(0, 60, 79, 5), Note(0, 64, 79, 5)))
    assert state.tokens == 3 + 7
    program = (
        "from rwkv_music.model.scripted import ScriptedModel; from rwkv_music.music import *;"
        "m = ScriptedModel(); s = m.start(); m.open_bar(s, Meter(3, 4), 90.0);"
        "m.hear_notes(s, (Note(0, 60, 79, 5), Note(0, 64, 79, 5))); print(s.digest)"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(other.stdout) == state.digest
    with pytest.raises(TokenError):
        model.hear_notes(state, (Note(0, 60, 79, 5),), Note(0, 64, 79, 5))


def test_an_unknown_script_is_refused():
    with pytest.raises(ConfigError, match="beats or steps"):
        ScriptedModel("waltz")
