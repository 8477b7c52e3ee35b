from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_strategies import meters, rough_notes

from rwkv_music.errors import TokenError
from rwkv_music.music import METERS, Bar, Meter, Note, canonical, cut_overlaps

FOUR = Meter(4, 4)


def test_bar_lengths_count_quarters_in_every_metre() -> None:
    steps = {str(meter): meter.steps for meter in METERS}
    assert steps["4/4"] == 48
    assert steps["3/4"] == steps["6/8"] == 36
    assert steps["7/8"] == 42
    assert steps["12/8"] == 72
    assert max(steps.values()) == steps["8/4"] == 96
    assert Meter(7, 8).beats == 3.5


@pytest.mark.parametrize("text", ["4/4", " 6 / 8 ", "12/8"])
def test_meter_reads_what_it_writes(text: str) -> None:
    assert str(Meter.parse(text)) == text.replace(" ", "")


@pytest.mark.parametrize("text", ["", "4", "4/", "/4", "-4/4", "4/4/4", "7/4", "4/3", "0/4", "x/y"])
def test_a_meter_without_token_is_refused_with_what_was_got(text: str) -> None:
    with pytest.raises(TokenError, match="meter: got"):
        Meter.parse(text)


def test_canonical_keeps_the_longer_of_doubles_then_the_louder() -> None:
    assert canonical([Note(0, 60, 90, 4), Note(0, 60, 40, 9), Note(0, 60, 50, 9)]) == (
        Note(0, 60, 50, 9),
    )


@given(meters.flatmap(rough_notes))
def test_canonical_is_sorted_single_and_a_projection(notes: list[Note]) -> None:
    tidy = canonical(notes)
    keys = [(note.onset, note.pitch) for note in tidy]
    assert keys == sorted({(note.onset, note.pitch) for note in notes})
    assert set(tidy) <= set(notes)
    assert canonical(tidy) == tidy == canonical(reversed(notes))


def test_a_key_struck_again_ends_its_note_across_the_bar_line() -> None:
    bars = [
        Bar(FOUR, 120.0, (Note(36, 60, 80, 48), Note(36, 64, 80, 48))),
        Bar(FOUR, 120.0, (Note(6, 60, 80, 12),)),
    ]
    first, second = cut_overlaps(bars)
    assert first.notes == (Note(36, 60, 80, 18), Note(36, 64, 80, 48))
    assert second == bars[1]


@given(st.lists(meters.flatmap(lambda m: rough_notes(m).map(lambda n: (m, n))), max_size=4))
def test_no_pitch_sounds_twice_after_cutting(parts: list[tuple[Meter, list[Note]]]) -> None:
    bars = tuple(Bar(meter, 120.0, tuple(notes)) for meter, notes in parts)
    cut = cut_overlaps(bars)
    assert cut_overlaps(cut) == cut
    sounding_until: dict[int, int] = {}
    start = 0
    for bar, before in zip(cut, bars, strict=True):
        assert [(n.onset, n.pitch) for n in bar.notes] == [
            (n.onset, n.pitch) for n in canonical(before.notes)
        ]
        for note in bar.notes:
            assert note.duration >= 1
            assert sounding_until.get(note.pitch, 0) <= start + note.onset
            sounding_until[note.pitch] = start + note.end
        start += bar.meter.steps
