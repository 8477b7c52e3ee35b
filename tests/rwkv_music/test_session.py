"""After any sequence of tellings the live state equals that of a fresh session told once."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music.errors import TokenError
from rwkv_music.hearing import MEMORY_BARS
from rwkv_music.model.scripted import ScriptedModel, ScriptedState
from rwkv_music.music import METERS, Meter, Note
from rwkv_music.session import HeardNote, Session


def note(onset: int, pitch: int = 60, velocity: int = 64, duration: int = 6) -> Note:
    return Note(onset, pitch, velocity, duration)


def told(*notes: Note, held: bool = False) -> list[HeardNote]:
    return [HeardNote(n, held) for n in notes]


def fresh(bars: list[tuple[int, Meter, list[HeardNote]]]) -> ScriptedState:
    session = Session(ScriptedModel())
    for number, meter, notes in bars:
        session.hear(number, meter, 120.0, notes, closed=True)
    return session.fork()


@st.composite
def performances(draw: st.DrawFn) -> list[tuple[int, Meter, list[Note]]]:
    """Some bars as they end up, each with the notes in the order they were struck."""
    bars = []
    for number in range(draw(st.integers(1, 6))):
        meter = draw(st.sampled_from(METERS))
        notes = draw(
            st.lists(
                st.builds(
                    Note,
                    onset=st.integers(0, meter.steps - 1),
                    pitch=st.integers(21, 108),
                    velocity=st.integers(1, 127),
                    duration=st.integers(1, 96),
                ),
                max_size=12,
                unique_by=lambda n: (n.onset, n.pitch),
            )
        )
        bars.append((number, meter, notes))
    return bars


@given(performances(), st.randoms(use_true_random=False))
def test_live_equals_fresh(bars: list[tuple[int, Meter, list[Note]]], random: Random) -> None:
    """Notes are told one by one in any order, first held and growing; keys go up in any order,
    some only bars later."""
    session = Session(ScriptedModel())
    known: dict[int, dict[Note, HeardNote]] = {}
    late: list[tuple[int, Note]] = []

    def tell(number: int, *, closed: bool = False) -> None:
        meter = bars[number][1]
        session.hear(number, meter, 120.0, known[number].values(), closed=closed)

    for number, _, notes in bars:
        known[number] = {}
        for struck in random.sample(notes, len(notes)):
            grown = random.randint(1, struck.duration)
            short = Note(struck.onset, struck.pitch, struck.velocity, grown)
            known[number][struck] = HeardNote(short, held=True)
            tell(number)
            if random.random() < 0.7:
                known[number][struck] = HeardNote(struck)
                tell(number)
            else:
                late.append((number, struck))
        tell(number, closed=True)
        while late and random.random() < 0.5:
            home, struck = late.pop(random.randrange(len(late)))
            known[home][struck] = HeardNote(struck)
            tell(home, closed=True)
    for home, struck in late:
        known[home][struck] = HeardNote(struck)
        tell(home, closed=True)

    assert session.fork() == fresh([(n, m, told(*notes)) for n, m, notes in bars])


def test_feeds_as_it_grows() -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, told(note(0)), closed=False)
    before = session.fork().tokens
    session.hear(0, Meter(), 120.0, told(note(0), note(12)), closed=False)
    assert session.fork().tokens == before + 4


def test_held_note_is_fed_with_a_duration_that_may_grow() -> None:
    session = Session(ScriptedModel())
    for steps in (1, 12, 24):
        session.hear(0, Meter(), 120.0, told(note(0, duration=steps), held=True), closed=False)
        last = session.last_note(0)
        assert last is not None
        assert last.duration >= steps
    session.hear(0, Meter(), 120.0, told(note(0, duration=30)), closed=True)
    assert session.fork() == fresh([(0, Meter(), told(note(0, duration=30)))])


@pytest.mark.parametrize(("silent", "heard"), [(0, 0), (1, 1), (2, 2), (3, 2), (50, 2)])
def test_at_most_two_empty_bars_are_heard(silent: int, heard: int) -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, told(note(0)), closed=True)
    for number in range(1, silent + 1):
        session.hear(number, Meter(), 120.0, [], closed=True)
    expected = [(0, Meter(), told(note(0)))] + [(n, Meter(), []) for n in range(1, heard + 1)]
    assert session.fork() == fresh(expected)


def test_silence_before_the_first_note_is_not_heard() -> None:
    session = Session(ScriptedModel())
    for number in range(5):
        session.hear(number, Meter(), 120.0, [], closed=True)
    assert session.fork() == ScriptedModel().start()


def test_a_bar_told_empty_again_and_again_is_heard_once() -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, told(note(0)), closed=True)
    for _ in range(3):
        session.hear(1, Meter(), 120.0, [], closed=True)
    assert session.fork() == fresh([(0, Meter(), told(note(0))), (1, Meter(), [])])


def test_a_bar_beyond_the_memory_stays_as_it_was_heard() -> None:
    session = Session(ScriptedModel())
    for number in range(MEMORY_BARS + 1):
        session.hear(number, Meter(), 120.0, told(note(0)), closed=True)
    before = session.fork()
    session.hear(0, Meter(), 120.0, told(note(3)), closed=True)
    assert session.fork() == before


@pytest.mark.parametrize("bad", [note(48), note(0, pitch=20), note(0, pitch=61, velocity=0)])
def test_a_note_without_tokens_changes_nothing(bad: Note) -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, told(note(0)), closed=False)
    before = session.fork()
    with pytest.raises(TokenError, match="expected an onset"):
        session.hear(0, Meter(), 120.0, told(note(0), bad), closed=True)
    assert session.fork() == before


def test_two_notes_of_one_pitch_on_one_step_are_one() -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, told(note(0, duration=3), note(0, duration=9)), closed=True)
    assert session.fork() == fresh([(0, Meter(), told(note(0, duration=9)))])


def test_reset_forgets_everything() -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, told(note(0)), closed=True)
    session.reset()
    assert session.fork() == ScriptedModel().start()
    assert not session.is_open(0)


def test_a_key_struck_again_within_a_step_is_heard_as_held() -> None:
    lifted, again = HeardNote(note(0)), HeardNote(note(0, duration=1), held=True)
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, [lifted], closed=False)
    both = [lifted, HeardNote(note(0), held=True)]
    session.hear(0, Meter(), 120.0, both, closed=True)
    assert session.fork() == fresh([(0, Meter(), both)])
    session.hear(0, Meter(), 120.0, [lifted, again], closed=True)
    assert session.fork() == fresh([(0, Meter(), [lifted, again])])


def test_a_silent_bar_that_was_not_heard_gets_a_note_late() -> None:
    session = Session(ScriptedModel())
    session.hear(0, Meter(), 120.0, [], closed=True)
    session.hear(1, Meter(), 120.0, told(note(0)), closed=True)
    session.hear(0, Meter(), 120.0, told(note(47)), closed=True)
    assert session.fork() == fresh([(0, Meter(), told(note(47))), (1, Meter(), told(note(0)))])


def test_a_bar_older_than_the_memory_stays_as_it_was_heard() -> None:
    session = Session(ScriptedModel())
    for number in range(MEMORY_BARS + 2):
        session.hear(number, Meter(), 120.0, told(note(0)), closed=True)
    session.unhear([MEMORY_BARS + 1])
    before = session.fork()
    session.hear(1, Meter(), 120.0, told(note(0), note(12)), closed=True)
    assert session.fork() == before
