"""Copied notes are found in any key, however many there are; new ones are not."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.copying import find_copied
from training_samples import piece

from rwkv_music.tokenizer import load_vocabulary

V = load_vocabulary()
TRAIN = [piece(seed).tokens.astype(np.int64) for seed in range(3)]


def bars(number: int, first: int, last: int) -> np.ndarray:
    """Of a piece that was trained on."""
    made = piece(number)
    return made.tokens[made.bars[first] : made.bars[last]].astype(np.int64)


def notes(tokens: np.ndarray) -> np.ndarray:
    return np.flatnonzero((tokens >= V.pitch.start) & (tokens < V.pitch.stop))


def test_a_transposed_copy_is_found_whole_and_other_music_is_not() -> None:
    copy = bars(1, 2, 6)
    copy[notes(copy)] += 3
    found = find_copied([copy, piece(99).tokens], TRAIN, V, lengths=(12,))
    assert found.longest[0] == len(notes(copy)) > 20
    assert found.longest[1] < 12
    (alone,) = find_copied([copy], TRAIN, V, lengths=(12,)).shares.values()
    assert alone == 1
    (other,) = find_copied([piece(99).tokens], TRAIN, V, lengths=(12,)).shares.values()
    assert other == 0


def test_one_other_note_parts_a_copy_in_two() -> None:
    copy = bars(1, 2, 6)
    at = notes(copy)
    middle = len(at) // 3
    copy[at[middle]] += 1
    found = find_copied([copy], TRAIN, V, lengths=(4,))
    assert found.longest[0] == len(at) - middle - 1
    assert found.shares[4] == (len(at) - 3 - 4) / (len(at) - 3)


def test_no_run_goes_from_one_piece_into_the_next() -> None:
    joined = np.concatenate([bars(0, 6, 8), bars(1, 0, 2)])
    whole = len(notes(joined))
    assert find_copied([joined], [bars(0, 6, 8), bars(1, 0, 2)], V).longest[0] < whole
    assert find_copied([joined], [joined], V).longest[0] == whole


def test_music_shorter_than_a_run_has_none() -> None:
    found = find_copied([piece(0, bars=1).tokens], TRAIN, V, lengths=(1000,))
    assert found.shares == {1000: 0}
    nothing = piece(0, bars=1).tokens[:3]
    assert find_copied([nothing], TRAIN, V).longest.tolist() == [0]


def test_more_is_told_with_the_error_of_chance() -> None:
    copies = [bars(number, 2, 6) for number in (0, 1, 2)]
    others = [piece(99 + number).tokens.astype(np.int64) for number in range(3)]
    copied, new = (find_copied(phrases, TRAIN, V, lengths=(12,)) for phrases in (copies, others))
    assert copied.more_than(new, 12) == (1.0, 0.0)
    assert copied.more_than(copied, 12) == (0.0, 0.0)
    mixed = find_copied([copies[0], *others[1:]], TRAIN, V, lengths=(12,))
    more, error = mixed.more_than(new, 12)
    assert more == mixed.shares[12]
    assert 0.5 * more < error < 2 * more  # one phrase of three
