from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_strategies import canonical_bars, meters

from rwkv_music.errors import TokenError
from rwkv_music.music import HIGHEST_PITCH, Bar, Meter, Note, canonical
from rwkv_music.tokenizer import (
    BarGrammar,
    Decoder,
    decode_phrase,
    encode_header,
    encode_notes,
    load_vocabulary,
)
from rwkv_music.tokenizer.grammar import NEXT, OVER, POSITION

V = load_vocabulary()
FOUR = Meter(4, 4)


@dataclass(frozen=True)
class Request:
    meter: Meter
    first_step: int
    needs_note: bool
    steps_to_end: int | None
    after: Note | None

    def grammar(self) -> BarGrammar:
        return BarGrammar(
            V,
            self.meter,
            first_step=self.first_step,
            needs_note=self.needs_note,
            steps_to_end=self.steps_to_end,
            after=self.after,
        )


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any request, also those that leave no room."""
    meter = draw(meters)
    note = st.builds(
        Note,
        st.integers(0, meter.steps - 1),
        st.integers(21, 108) | st.just(HIGHEST_PITCH),
        st.sampled_from(V.velocities),
        st.integers(1, 96),
    )
    return Request(
        meter,
        draw(st.integers(0, meter.steps + 3)),
        draw(st.booleans()),
        draw(st.none() | st.integers(0, 2 * meter.steps)),
        draw(st.none() | note),
    )


def walk(request: Request, seed: int) -> tuple[list[int], list[Note]]:
    """A random way through the mask: its ids and its notes."""
    rng = np.random.default_rng(seed)
    grammar = request.grammar()
    tokens: list[int] = []
    notes: list[Note] = []
    while grammar.stage != OVER:
        ids = np.flatnonzero(grammar.allowed())
        assert len(ids), "the mask is never empty"
        tokens.append(int(rng.choice(ids)))
        note = grammar.push(tokens[-1])
        if note is not None:
            notes.append(note)
    return tokens, notes


@given(requests(), st.integers(0, 2**32))
def test_every_walk_is_canonical_music_within_the_request(request: Request, seed: int) -> None:
    tokens, notes = walk(request, seed)
    before = () if request.after is None else (request.after,)
    assert canonical([*before, *notes]) == (*before, *notes)
    assert encode_notes(notes, request.after) == tokens[:-1]
    assert tokens[-1] == V.bar
    end = request.meter.steps if request.steps_to_end is None else request.steps_to_end
    for note in notes:
        assert request.first_step <= note.onset < min(request.meter.steps, end)
        assert request.steps_to_end is None or note.end <= request.steps_to_end


@given(meters, st.integers(0, 2**32))
def test_a_walk_decodes(meter: Meter, seed: int) -> None:
    tokens, notes = walk(Request(meter, 0, True, None, None), seed)
    header = encode_header(meter, 120.0)
    assert decode_phrase(header + tokens[:-1]) == (Bar(meter, 120.0, tuple(notes)),)
    assert notes, "needs_note"


@given(canonical_bars(), st.integers(0, 12))
def test_every_token_of_canonical_music_is_allowed(bar: Bar, heard: int) -> None:
    heard = min(heard, len(bar.notes))
    after = bar.notes[heard - 1] if heard else None
    grammar = BarGrammar(V, bar.meter, after=after)
    for token in [*encode_notes(bar.notes[heard:], after), V.bar]:
        assert grammar.allowed()[token]
        grammar.push(token)
    assert grammar.stage == OVER


@given(canonical_bars(), st.integers(0, 40))
def test_the_mask_allows_exactly_what_the_decoder_takes(bar: Bar, length: int) -> None:
    tokens = encode_notes(bar.notes)[:length]
    grammar, decoder = BarGrammar(V, bar.meter), Decoder()
    for token in encode_header(bar.meter, bar.tempo_bpm):
        decoder.push(token)
    for token in tokens:
        grammar.push(token)
        decoder.push(token)
    allowed = grammar.allowed()
    for token in range(len(V)):
        trial = Decoder()
        for earlier in [*encode_header(bar.meter, bar.tempo_bpm), *tokens]:
            trial.push(earlier)
        try:
            trial.push(token)
        except TokenError:
            assert not allowed[token], V.tokens[token]
        else:
            assert allowed[token], V.tokens[token]


def test_a_needed_note_is_asked_for_only_where_there_is_room() -> None:
    full = Note(FOUR.steps - 1, HIGHEST_PITCH, 63, 1)
    for grammar in (
        BarGrammar(V, FOUR, needs_note=True, first_step=FOUR.steps),
        BarGrammar(V, FOUR, needs_note=True, after=full),
        BarGrammar(V, FOUR, needs_note=True, steps_to_end=0),
        BarGrammar(V, FOUR, needs_note=True, steps_to_end=10, first_step=10),
        BarGrammar(V, FOUR, needs_note=True, steps_to_end=10, after=Note(10, 60, 63, 1)),
    ):
        assert list(np.flatnonzero(grammar.allowed())) == [V.bar]
    with_room = BarGrammar(V, FOUR, needs_note=True)
    assert not with_room.allowed()[V.bar]
    for token in encode_notes([Note(0, HIGHEST_PITCH, 63, 1)]):
        with_room.push(token)
    assert with_room.allowed()[V.bar]
    assert not with_room.allowed()[V.pitch.start : V.pitch.stop].any()


def test_a_launch_inside_the_bar_may_join_the_chord_that_stands_there() -> None:
    held = Note(12, 60, 63, 6)
    joining = BarGrammar(V, FOUR, first_step=12, after=held)
    assert joining.stage == NEXT
    assert joining.allowed()[V.pitch_id(61)]
    assert not joining.allowed()[V.pitch_id(60)]
    later = BarGrammar(V, FOUR, first_step=13, after=held)
    assert later.stage == POSITION
    assert not later.allowed()[V.pitch.start : V.pitch.stop].any()
    assert list(np.flatnonzero(later.allowed())) == [
        V.bar,
        *range(V.position_id(13), V.position_id(48)),
    ]


def test_an_id_of_the_wrong_kind_is_refused() -> None:
    for token in (V.bos, V.pitch_id(60), V.duration_id(1), V.meter_id(FOUR)):
        with pytest.raises(TokenError, match="cannot stand here"):
            BarGrammar(V, FOUR).push(token)
