from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_strategies import canonical_bars, phrases

from rwkv_music.errors import TokenError
from rwkv_music.music import Bar, Meter, Note, Phrase
from rwkv_music.tokenizer import (
    encode_bar,
    encode_header,
    encode_notes,
    encode_phrase,
    load_vocabulary,
)

V = load_vocabulary()


def test_a_bar_reads_as_its_specification() -> None:
    bar = Bar(Meter(6, 8), 120.0, (Note(0, 48, 64, 18), Note(0, 55, 64, 18), Note(9, 60, 90, 3)))
    assert [V.tokens[token] for token in encode_bar(bar)] == [
        "Bar_None", "TimeSig_6/8", "Tempo_120.00",
        "Position_0", "Pitch_48", "Velocity_63", "Duration_1.6.12",
        "Pitch_55", "Velocity_63", "Duration_1.6.12",
        "Position_9", "Pitch_60", "Velocity_91", "Duration_0.3.12",
    ]  # fmt: skip


@given(phrases())
def test_bar_by_bar_equals_the_whole_phrase(phrase: Phrase) -> None:
    assert [token for bar in phrase for token in encode_bar(bar)] == encode_phrase(phrase)


@given(canonical_bars(), st.data())
def test_note_by_note_equals_the_whole_bar(bar: Bar, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(bar.notes)), max_size=4)))
    tokens = encode_header(bar.meter, bar.tempo_bpm)
    after = None
    for start, stop in zip([0, *cuts], [*cuts, len(bar.notes)], strict=True):
        tokens += encode_notes(bar.notes[start:stop], after)
        after = bar.notes[stop - 1] if stop else None
    assert tokens == encode_bar(bar)


@pytest.mark.parametrize(
    "notes",
    [
        (Note(3, 60, 64, 1), Note(0, 60, 64, 1)),
        (Note(0, 64, 64, 1), Note(0, 60, 64, 1)),
        (Note(0, 60, 64, 1), Note(0, 60, 64, 2)),
        (Note(-1, 60, 64, 1),),
        (Note(48, 60, 64, 1),),
        (Note(0, 20, 64, 1),),
        (Note(0, 60, 0, 1),),
        (Note(0, 60, 64, 0),),
    ],
)
def test_what_has_no_tokens_is_refused(notes: tuple[Note, ...]) -> None:
    with pytest.raises(TokenError):
        encode_bar(Bar(Meter(4, 4), 120.0, notes))
