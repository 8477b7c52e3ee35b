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
    st.just(1),
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


@given(st.lists(planned_notes, max_size=30), st.integers(0, 200), st.integers(0, 200))
def test_order_and_dropping(notes: list[PlannedNote], step: int, from_step: int) -> None:
    planner = Planner()
    for note in notes:
        planner.add(note)
    early = planner.starting(step)
    assert early == sorted(note for note in notes if note.start_step < step)
    planner.drop(from_step)
    late = [note for note in notes if step <= note.start_step < from_step]
    assert len(planner) == len(late)
    assert planner.starting(1000) == sorted(late)
    assert planner.is_over


@given(st.lists(planned_notes, max_size=30), st.integers(-200, 200))
def test_everything_moves_together(notes: list[PlannedNote], steps: int) -> None:
    planner = Planner()
    for owner, note in enumerate(notes):
        planner.add(note)
        planner.started(note, owner)
    planner.move(steps)
    assert planner.starting(1000) == sorted(note.moved(steps) for note in notes)
    ends = planner.ending(1000)
    assert sorted(ends) == sorted((note.moved(steps), n) for n, note in enumerate(notes))
    assert [note.end_step for note, _ in ends] == sorted(note.end_step + steps for note in notes)
    assert planner.is_over


@given(st.lists(planned_notes, max_size=30))
def test_ends_come_in_order(notes: list[PlannedNote]) -> None:
    planner = Planner()
    for owner, note in enumerate(notes):
        planner.started(note, owner)
    ends = [note.end_step for note, _ in planner.ending(1000)]
    assert ends == sorted(note.end_step for note in notes)
