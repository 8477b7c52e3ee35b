from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_strategies import canonical_bars, phrases

from rwkv_music.errors import TokenError
from rwkv_music.music import Bar, Meter, Note, Phrase
from rwkv_music.tokenizer import (
    BarLine,
    Decoder,
    decode_phrase,
    encode_bar,
    encode_header,
    encode_phrase,
    load_vocabulary,
)

V = load_vocabulary()
HEADER = encode_header(Meter(4, 4), 120.0)


@given(phrases())
def test_decoding_undoes_encoding(phrase: Phrase) -> None:
    assert decode_phrase(encode_phrase(phrase)) == phrase
    assert decode_phrase([V.bos, *encode_phrase(phrase)]) == phrase


@given(canonical_bars())
def test_a_note_comes_out_with_its_last_token(bar: Bar) -> None:
    decoder = Decoder()
    events = [decoder.push(token) for token in encode_bar(bar)]
    assert events[:3] == [None, None, BarLine(bar.meter, bar.tempo_bpm)]
    durations = [i for i, token in enumerate(encode_bar(bar)) if token in V.duration]
    assert tuple(events[i] for i in durations) == bar.notes
    assert sum(event is not None for event in events) == 1 + len(bar.notes)


@given(st.lists(st.integers(0, len(V) - 1), max_size=12))
def test_whatever_is_accepted_is_what_its_music_encodes_to(tokens: list[int]) -> None:
    """The decoder accepts canonical music and nothing else."""
    for stream in (tokens, HEADER + tokens):
        try:
            phrase = decode_phrase(stream)
        except TokenError:
            continue
        assert encode_phrase(phrase) == [token for token in stream if token != V.bos]


@given(canonical_bars(), st.integers(0, 60), st.integers(0, len(V) - 1))
def test_one_wrong_token_is_refused_or_is_other_music(bar: Bar, place: int, token: int) -> None:
    tokens = encode_bar(bar)
    tokens[place % len(tokens)] = token
    try:
        phrase = decode_phrase(tokens)
    except TokenError:
        return
    assert encode_phrase(phrase) == [t for t in tokens if t != V.bos]


@pytest.mark.parametrize(
    "tokens",
    [
        [V.eos],
        [V.pad],
        [V.bos, V.eos],
        [V.position_id(0)],
        [V.bar, V.bar],
        [*HEADER, V.bos],
        [*HEADER, V.pitch_id(60)],
        [*HEADER, V.reserved_id(0)],
        [*HEADER, V.position_id(0), V.bar],
        [*encode_header(Meter(3, 4), 120.0), V.position_id(36)],
        [-1],
        [len(V)],
    ],
)
def test_what_cannot_follow_is_refused(tokens: list[int]) -> None:
    with pytest.raises(TokenError):
        decode_phrase(tokens)


def test_the_refusal_says_where_it_stands() -> None:
    with pytest.raises(TokenError, match=r"'Pitch_60' cannot stand here.*position 0, pitch 62"):
        decode_phrase([*encode_bar(Bar(Meter(4, 4), 120.0, (Note(0, 62, 64, 4),))), V.pitch_id(60)])


@given(canonical_bars())
def test_tokens_that_stop_in_a_header_or_a_note_are_no_music(bar: Bar) -> None:
    tokens = encode_bar(bar)
    for stop in range(len(tokens)):
        whole = stop == 0 or (stop > 2 and (stop == 3 or tokens[stop - 1] in V.duration))
        if whole:
            decode_phrase(tokens[:stop])
        else:
            with pytest.raises(TokenError, match="middle"):
                decode_phrase(tokens[:stop])
