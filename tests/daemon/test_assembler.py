"""Bars of what was heard: where notes belong, how long they are, and who is told of what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.assembled_bar import Voice
from rwkv_music_daemon.assembler import HISTORY_BARS, Assembler
from rwkv_music_daemon.messages import Hear
from rwkv_music_daemon.planner import PlannedNote
from rwkv_music_daemon.transport import BarSpan

from rwkv_music.music import LONGEST_STEPS, Meter

BPM = 120.0
FOUR = Meter(4, 4)


def span(number: int, meter: Meter = FOUR) -> BarSpan:
    return BarSpan(number, number * meter.beats, meter)


def strike(assembler: Assembler, beat: float, pitch: int, velocity: int = 80) -> None:
    """As the listener does it: an onset may belong to the next bar."""
    home = span(int(beat // 4))
    step = assembler.onset_step(beat, home)
    assembler.note_on(beat, step, span(step // 48), BPM, pitch, velocity)


def told(assembler: Assembler, until_step: int | None = None) -> list[Hear]:
    return list(assembler.updates(until_step))


def notes_of(message: Hear) -> list[tuple[int, int, int, bool]]:
    """Onset, pitch, duration, held."""
    return [(onset, pitch, steps, held) for onset, pitch, _, steps, held in message.notes]


@pytest.mark.parametrize(
    ("beat", "grid", "step"),
    [
        (0.0, "full", 0),
        (0.0416, "full", 0),
        (0.5 / 12, "full", 1),  # half a step rounds up
        (3.95, "full", 47),
        (3.96, "full", 48),  # and just before the line is on the next line
        (0.12, "sixteenths", 0),
        (0.125, "sixteenths", 3),
        (0.16, "triplets", 0),
        (0.17, "triplets", 4),
        (3.9, "triplets", 48),
    ],
)
def test_onsets_belong_to_the_nearest_place(beat: float, grid: str, step: int) -> None:
    assembler = Assembler()
    assembler.grid = grid
    assert assembler.onset_step(beat, span(0)) == step


def test_the_grid_begins_at_each_bar_line() -> None:
    assembler = Assembler()
    assembler.grid = "triplets"
    seven = Meter(7, 8)  # 42 steps: no multiple of 4
    assert assembler.onset_step(3.5 + 4 / 12, BarSpan(1, 3.5, seven)) == 42 + 4
    assert assembler.onset_step(3.5 + 40.9 / 12, BarSpan(1, 3.5, seven)) == 42 + 40
    assert assembler.onset_step(3.5 + 41.1 / 12, BarSpan(1, 3.5, seven)) == 84


@given(st.floats(0, 400, allow_nan=False), st.sampled_from(["full", "sixteenths", "triplets"]))
def test_an_onset_is_moved_by_half_a_grid_at_most_and_never_past_the_line(
    beat: float, grid: str
) -> None:
    assembler = Assembler()
    assembler.grid = grid
    home = span(int(beat // 4))
    step = assembler.onset_step(beat, home)
    assert abs(step / 12 - beat) <= assembler.half_grid_beats + 1e-9
    assert home.start_beat <= step / 12 <= home.end_beat


def test_a_key_that_is_down_grows_and_its_note_off_says_how_long_it_was() -> None:
    assembler = Assembler()
    strike(assembler, 1.0, 60)
    assembler.refresh(1.5)
    assert notes_of(told(assembler)[0]) == [(12, 60, 6, True)]
    assert told(assembler) == []
    ended = assembler.note_off(2.0, 60)
    assert ended is not None
    assert ended.duration == 12
    assert notes_of(told(assembler)[0]) == [(12, 60, 12, False)]
    assert assembler.note_off(2.5, 60) is None


def test_a_note_is_at_least_a_step_and_at_most_what_has_a_token() -> None:
    assembler = Assembler()
    strike(assembler, 0.0, 60)
    strike(assembler, 0.0, 62)
    assembler.note_off(0.001, 60)
    assembler.refresh(100.0)
    assert notes_of(told(assembler)[0]) == [(0, 60, 1, False), (0, 62, LONGEST_STEPS, False)]
    assert assembler.note_off(101.0, 62) is None  # it was given up at its longest


def test_a_key_struck_again_without_a_note_off_ends_the_first_note() -> None:
    assembler = Assembler()
    strike(assembler, 0.0, 60, 70)
    strike(assembler, 1.0, 60, 90)
    assert [(n.duration, n.held, n.velocity) for n in assembler.bars[0].notes] == [
        (12, False, 70),
        (1, True, 90),
    ]


def test_our_notes_are_heard_as_long_as_planned_unless_they_are_cut() -> None:
    assembler = Assembler()
    for pitch in (60, 64):
        assembler.played(PlannedNote(12, pitch, 79, 24, 3), span(0), BPM)
    assembler.cut(1.5, 60)
    assembler.cut(9.0, 64)  # too late to make it longer
    assembler.cut(9.0, 65)
    assert [(n.pitch, n.duration, n.voice, n.request) for n in assembler.bars[0].notes] == [
        (60, 6, Voice.MODEL, 3),
        (64, 24, Voice.MODEL, 3),
    ]


def test_what_is_being_struck_right_now_waits_for_the_rest_of_its_chord() -> None:
    assembler = Assembler()
    strike(assembler, 0.0, 60)
    strike(assembler, 1.0, 64)
    (first,) = told(assembler, until_step=12)
    assert [pitch for _, pitch, *_ in notes_of(first)] == [60]
    strike(assembler, 1.01, 67)
    (second,) = told(assembler, until_step=13)
    assert [pitch for _, pitch, *_ in notes_of(second)] == [60, 64, 67]
    assert told(assembler) == []


def test_an_open_bar_is_told_when_it_has_notes_a_closed_one_always() -> None:
    assembler = Assembler()
    assembler.bar(span(0), BPM)
    assert told(assembler) == []
    assembler.close(span(0), BPM)
    (message,) = told(assembler)
    assert (message.notes, message.closed) == ((), True)
    assembler.close(span(0), BPM)
    assert told(assembler) == []


def test_bars_are_told_in_order_and_their_serial_numbers_ascend_through_a_locate() -> None:
    assembler = Assembler()
    strike(assembler, 1.0, 60)
    strike(assembler, 5.0, 62)
    assembler.renumber(6.0)
    strike(assembler, 0.5, 64)
    messages = told(assembler)
    assert [(m.bar, m.closed) for m in messages] == [(0, True), (1, True), (2, False)]
    assert notes_of(messages[0]) == [(12, 60, 60, False)]  # held keys end where the music jumped
    assert notes_of(messages[1]) == [(12, 62, 12, False)]
    assert [bar.number for bar in assembler.bars] == [0, 1, 0]


def test_forgetting_forgets_keys_too() -> None:
    assembler = Assembler()
    strike(assembler, 0.0, 60)
    assembler.forget()
    assert told(assembler) == []
    assert assembler.note_off(1.0, 60) is None
    assert list(assembler.bars) == []


def test_a_new_model_is_told_the_last_bars() -> None:
    assembler = Assembler()
    for number in range(30):
        strike(assembler, 4.0 * number, 60 + number)
        assembler.note_off(4.0 * number + 1, 60 + number)
        assembler.close(span(number), BPM)
    again = list(assembler.recent())
    assert [message.bar for message in again] == list(range(14, 30))
    assert told(assembler) == []  # and nothing twice


def test_a_long_silence_does_not_push_the_music_out() -> None:
    assembler = Assembler()
    strike(assembler, 0.0, 60)
    assembler.note_off(1.0, 60)
    for number in range(200):
        assembler.close(span(number), BPM)
    strike(assembler, 800.0, 62)
    assert [message.bar for message in assembler.recent()] == [0, 1, 2, 200]


def test_hours_take_no_more_memory_than_the_history() -> None:
    assembler = Assembler()
    for number in range(3 * HISTORY_BARS):
        assembler.close(span(number), BPM)
        list(assembler.updates())
    assert len(assembler.bars) == HISTORY_BARS
    assert len(assembler._now) <= HISTORY_BARS
    assert not assembler._changed


def test_undo_takes_out_one_completion_and_says_which_bars_are_gone() -> None:
    assembler = Assembler()
    strike(assembler, 4.0, 50)
    assembler.note_off(4.5, 50)
    for step in (0, 48):
        assembler.played(PlannedNote(step, 60, 79, 11, 7), span(step // 48), BPM)
    for number in (0, 1):
        assembler.close(span(number), BPM)
    list(assembler.updates())
    first = assembler.bars[1] if assembler.bars[0].number == 1 else assembler.bars[0]
    assert assembler.last_request() == 7
    assert assembler.undo(7).bars == (first.serial,)
    (changed,) = told(assembler)
    assert [pitch for _, pitch, *_ in notes_of(changed)] == [50]
    assert assembler.last_request() == 0


def test_a_note_that_was_undone_cannot_be_cut() -> None:
    assembler = Assembler()
    assembler.played(PlannedNote(0, 60, 79, 11, 7), span(0), BPM)
    assembler.close(span(0), BPM)
    assembler.undo(7)
    assembler.cut(4.0, 60)
    assert told(assembler) == []


def test_voices_are_counted_apart() -> None:
    assembler = Assembler()
    strike(assembler, 0.0, 60)
    assembler.played(PlannedNote(12, 64, 79, 11, 1), span(0), BPM)
    bar = assembler.bars[0]
    assert (bar.count(Voice.PLAYER), bar.count(Voice.MODEL)) == (1, 1)


def test_a_tempo_said_of_a_bar_to_come_holds_and_makes_no_bar() -> None:
    assembler = Assembler()
    said = assembler.tempo(span(2), 150.0)
    assert list(assembler.bars) == []
    assert assembler.tempo(span(2), 90.0) == said
    assembler.bar(span(1), 90.0)
    assert assembler.bar(span(2), 90.0).tempo_bpm == said == assembler.tempo(span(2), 60.0)
    assert [(bar.serial, bar.number) for bar in assembler.bars] == [(0, 1), (1, 2)]


def test_a_bar_that_is_empty_when_the_transport_jumps_has_not_been() -> None:
    assembler = Assembler()
    strike(assembler, 1.0, 60)
    assembler.bar(span(1), BPM)
    assembler.renumber(4.0)
    assert [(m.bar, m.closed) for m in told(assembler)] == [(0, True)]
    assert [bar.number for bar in assembler.bars] == [0]


def test_a_meter_that_comes_just_before_the_line_is_that_of_the_bar_begun() -> None:
    assembler = Assembler()
    strike(assembler, 3.99, 60)
    list(assembler.updates())
    assembler.bar(BarSpan(1, 4.0, Meter(5, 4)), BPM)
    (changed,) = told(assembler)
    assert changed.meter == "5/4"


def test_what_was_played_beyond_the_end_that_a_new_meter_gives_a_bar_is_of_the_next() -> None:
    assembler = Assembler()
    for step, pitch in ((0, 40), (14, 41), (30, 42)):  # sent early
        assembler.played(PlannedNote(step, pitch, 80, 24, 1), span(0), BPM)
    strike(assembler, 0.97, 60)
    list(assembler.updates())
    assembler.bar(BarSpan(0, 0.0, Meter(1, 4)), BPM)
    changed = told(assembler)
    assert [(m.bar, m.meter, notes_of(m)) for m in changed] == [
        (0, "1/4", [(0, 40, 24, False)]),
        (1, "1/4", [(2, 41, 24, False), (0, 60, 1, True)]),
        (2, "1/4", [(6, 42, 24, False)]),
    ]
    assembler.note_off(1.47, 60)
    assembler.cut(2.0, 41)
    (changed_again,) = told(assembler)
    assert notes_of(changed_again) == [(2, 41, 10, False), (0, 60, 6, False)]
