"""The fast way from a file to tokens gives what the slow one gives, on whatever a file may hold."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")
import symusic
from rwkv_music_train.encoding import encode_midi

from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import ReadOptions, parse_midi
from rwkv_music.tokenizer import encode_bar

OPTIONS = ReadOptions(frozenset({"voice"}), skip_odd_meters=True)
SIGNATURES = ((4, 4), (3, 4), (6, 8), (7, 8), (2, 2), (5, 16), (11, 8), (1, 4), (12, 8))


def slowly(data):
    phrase = parse_midi(data, OPTIONS).phrase
    while phrase and not phrase[0].notes:
        phrase = phrase[1:]
    tokens, bars = [], [0]
    for bar in phrase:
        tokens += encode_bar(bar)
        bars.append(len(tokens))
    return tokens, bars


def random_file(rng):
    """Notes on and off the grid, over each other, off the keyboard; odd meters; tempos anywhere."""
    tpq = int(rng.choice((1, 24, 96, 120, 480, 1024)))
    score = symusic.Score(tpq)
    length = int(rng.integers(1, 40)) * tpq
    for _ in range(int(rng.integers(0, 5))):
        n, d = SIGNATURES[rng.integers(len(SIGNATURES))]
        place = int(rng.integers(0, length)) if rng.random() < 0.7 else 0
        score.time_signatures.append(symusic.TimeSignature(place, n, d))
    for _ in range(int(rng.integers(0, 5))):
        place = int(rng.integers(0, length))
        score.tempos.append(symusic.Tempo(place, float(rng.uniform(40, 200))))
    for name, drums in (("Piano", False), ("Voice", False), ("Kit", True), ("Left", False)):
        track = symusic.Track(name, program=0, is_drum=drums)
        for _ in range(int(rng.integers(0, 60))):
            step = max(tpq // int(rng.choice((1, 2, 3, 4, 12))), 1)
            place = int(rng.integers(0, length)) // step * step + int(rng.integers(-1, 2))
            track.notes.append(
                symusic.Note(
                    max(place, 0),
                    int(rng.integers(0, 9 * tpq)),
                    int(rng.integers(15, 115)),
                    int(rng.integers(1, 128)),
                )
            )
        score.tracks.append(track)
    return score.dumps_midi()


@pytest.mark.parametrize("seed", range(300))
def test_fast_and_slow_agree(seed):
    data = random_file(np.random.default_rng(seed))
    tokens, bars = slowly(data)
    made = encode_midi(data, OPTIONS)
    assert made.tokens.tolist() == tokens
    assert made.bars.tolist() == bars


def test_fast_and_slow_refuse_the_same():
    score = symusic.Score(480)
    score.tempos.append(symusic.Tempo(0, 20_000.0))
    score.tracks.append(symusic.Track("Piano"))
    score.tracks[0].notes.append(symusic.Note(0, 480, 60, 80))
    data = score.dumps_midi()
    messages = []
    for way in (slowly, lambda d: encode_midi(d, OPTIONS)):
        with pytest.raises(MidiFileError) as caught:
            way(data)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
