"""The gallery's beginnings: text that is read exactly, eight full bars each."""

from __future__ import annotations

import pytest

from benchmarks.notation import Voice, played
from benchmarks.prompts import PROMPTS, Prompt
from rwkv_music.music import STEPS_PER_BEAT, Meter, Note


def one_voice(text: str, meter: str = "4/4") -> list[tuple[int, int, int, int]]:
    """(bar, onset, pitch, duration) of what is played."""
    bars = played((Voice(text, 60),), Meter.parse(meter), 100.0)
    return [
        (number, note.onset, note.pitch, note.duration)
        for number, bar in enumerate(bars)
        for note in bar.notes
    ]


def test_reads_lengths_chords_rests_and_ties() -> None:
    assert one_voice("C4:1 E4+G4:1/3 r r r:2 | C4:4") == [
        (0, 0, 60, 11),
        (0, 12, 64, 4),
        (0, 12, 67, 4),
        (1, 0, 60, 47),
    ]
    assert one_voice("Bb3:4 | ~:1 F#4:3") == [(0, 0, 58, 59), (1, 12, 66, 35)]


def test_the_downbeat_is_louder_and_the_phrase_swells() -> None:
    (first, second, third) = played((Voice("C4:1 C4 C4 C4 | C4:4 | C4:4", 60),), Meter(), 90.0)
    assert first.notes[0].velocity > first.notes[1].velocity
    assert third.notes[0].velocity > first.notes[0].velocity
    assert second.notes == (Note(0, 60, second.notes[0].velocity, 4 * STEPS_PER_BEAT - 1),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("C4:4 | C4:3", "bar 2: 3 beats, expected 4"),
        ("H4:4", "bar 1: 'H4' is no pitch"),
        ("C4:1/7 C4 C4 C4", "bar 1: 'C4:1/7' is not on the grid"),
        ("C4:x", "bar 1: 'C4:x' is no item"),
        ("r:2 ~:2", "bar 1: nothing sounds that '~:2' could hold"),
    ],
)
def test_says_which_bar_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        one_voice(text)


def test_voices_are_of_one_length() -> None:
    with pytest.raises(ValueError, match="expected all to be as long"):
        played((Voice("C4:4", 60), Voice("C4:4 | C4:4", 60)), Meter(), 90.0)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_prompts_are_eight_bars_with_notes_in_each(prompt: Prompt) -> None:
    bars = prompt.played()
    assert len(bars) == 8
    assert all(bar.notes for bar in bars)
    assert all(1 <= note.velocity <= 127 for bar in bars for note in bar.notes)


def test_there_are_two_prompts_in_each_manner() -> None:
    manners = [prompt.manner for prompt in PROMPTS]
    assert {manners.count(manner) for manner in manners} == {2}
    assert len({prompt.name for prompt in PROMPTS}) == len(PROMPTS) == 12
