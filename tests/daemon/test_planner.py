"""Notes wait in steps, and come out in order when their step is near."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.planner import PlannedNote, Planner

planned_notes = st.builds(
    PlannedNote,
    st.integers(0, 200),
    st.integers(21, 108),
    st.integers(1, 127),
    st.integers(1, 96),
    st.integers(1, 3),
)


def test_a_note_starts_before_the_step_not_on_it() -> None:
    planner = Planner()
    note = PlannedNote(48, 60, 80, 11, 1)
    planner.add(note)
    assert planner.starting(48) == []
    assert planner.starting(48.001) == [note]
    assert planner.starting(1000) == []


def test_an_end_is_known_by_its_owner() -> None:
    planner = Planner()
    note = PlannedNote(0, 60, 80, 12, 1)
    planner.started(note, 7)
    planner.started(note, 8)
    assert planner.ending(12) == []
    assert planner.ending(13) == [(note, 7), (note, 8)]


@given(st.lists(planned_notes, max_size=30), st.integers(1, 3), st.integers(0, 200))
def test_order_and_dropping(notes: list[PlannedNote], request: int, step: int) -> None:
    planner = Planner()
    for note in notes:
        planner.add(note)
    early = planner.starting(step)
    assert early == sorted(note for note in notes if note.start_step < step)
    planner.drop(request)
    late = [note for note in notes if note.start_step >= step and note.request != request]
    assert len(planner) == len(late)
    assert planner.starting(1000) == sorted(late)


@given(st.lists(planned_notes, max_size=30))
def test_ends_come_in_order(notes: list[PlannedNote]) -> None:
    planner = Planner()
    for owner, note in enumerate(notes):
        planner.started(note, owner)
    ends = [note.end_step for note, _ in planner.ending(1000)]
    assert ends == sorted(note.end_step for note in notes)


def test_clear_forgets_starts_and_ends() -> None:
    planner = Planner()
    planner.add(PlannedNote(1, 60, 80, 1, 1))
    planner.started(PlannedNote(0, 60, 80, 1, 1), 1)
    planner.clear()
    assert planner.starting(99) == []
    assert planner.ending(99) == []
