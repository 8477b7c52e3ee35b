"""Our tokens equal miditok's in every x/4 metre, the tempo tokens apart."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import score_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from music_strategies import phrases

from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import ReadOptions, parse_midi, to_score
from rwkv_music.music import (
    LONGEST_STEPS,
    METERS,
    STEPS_PER_BEAT,
    Bar,
    Meter,
    Note,
    Phrase,
    cut_overlaps,
)
from rwkv_music.tokenizer import encode_bar, encode_phrase, load_vocabulary

miditok = pytest.importorskip("miditok", reason="miditok comes with the extra 'train'")
symusic = pytest.importorskip("symusic")
V = load_vocabulary()
QUARTER_METERS = [meter for meter in METERS if meter.denominator == 4]


@pytest.fixture(scope="module")
def remi() -> Any:
    from rwkv_music_train.vocabulary import remi

    return remi()


def ours(phrase: Phrase) -> list[str]:
    return [V.tokens[token] for token in encode_phrase(phrase) if token not in V.tempo]


def theirs(remi: Any, score: Any) -> list[str]:
    sequences = remi(score)
    assert len(sequences) == 1
    return list(sequences[0].tokens)


@given(phrases(6, st.sampled_from(QUARTER_METERS)).filter(lambda bars: bars and bars[-1].notes))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_random_phrases(remi: Any, phrase: Phrase) -> None:
    phrase = cut_overlaps(phrase)
    assert ours(phrase) == theirs(remi, to_score({"Piano": phrase}))


@pytest.mark.parametrize("meter", QUARTER_METERS, ids=str)
def test_every_quarter_metre(remi: Any, meter: Meter) -> None:
    bar = Bar(meter, 120.0, tuple(Note(step, 60, 63, 1) for step in range(meter.steps)))
    assert ours((bar, bar)) == theirs(remi, to_score({"Piano": (bar, bar)}))


def one_piano(data: bytes, end_tick: int) -> Any:
    """The file's raw notes on one track, of doubles on the grid only the one that we keep, and
    none of what stands after the music; ticks as they are, so that miditok rounds them itself."""
    score = symusic.Score.from_midi(data)
    tpq = score.tpq
    kept: dict[tuple[int, int], tuple[int, int, Any]] = {}
    for note in (note for track in score.tracks for note in track.notes):
        key = (2 * note.time * STEPS_PER_BEAT + tpq) // (2 * tpq), note.pitch
        steps = (2 * note.duration * STEPS_PER_BEAT + tpq) // (2 * tpq)
        rank = min(max(steps, 1), LONGEST_STEPS), note.velocity
        if key not in kept or rank > kept[key][:2]:
            kept[key] = (*rank, note)
    track = symusic.Track("Piano", 0, False)
    for key in sorted(kept):
        track.notes.append(kept[key][2])
    one = symusic.Score(tpq)
    one.tracks.append(track)
    one.tempos.append(symusic.Tempo(0, 120))
    for signature in score.time_signatures:
        if signature.time < end_tick:
            one.time_signatures.append(signature)
    return one


@pytest.mark.skipif(score_data.missing() is not None, reason=str(score_data.missing()))
@pytest.mark.timeout(1800)
def test_real_scores(remi: Any) -> None:
    compared = 0
    for name, data in score_data.scores():
        try:
            reading = parse_midi(data, ReadOptions(one_voice_a_key=False))
        except MidiFileError:
            continue  # a meter that has no token; counted where the files are read
        phrase = reading.phrase
        whole = encode_phrase(phrase)
        assert [token for bar in phrase for token in encode_bar(bar)] == whole, name
        score = one_piano(data, reading.report.end_tick)
        if any(s.denominator != 4 for s in score.time_signatures) or _bar_is_cut(score):
            continue
        assert ours(phrase) == theirs(remi, score), name
        compared += 1
    assert compared > 10


def _bar_is_cut(score: Any) -> bool:
    """Whether a signature stands inside a bar: miditok moves it to the next bar line, for us a
    bar starts there."""
    events = list(score.time_signatures)
    return any(
        (after.time - before.time) % (before.numerator * score.tpq)
        for before, after in pairwise(events)
    )
