"""How much of what a model plays stands note for note in its training data.

A run is a number of consecutive notes, in the order of their tokens, told by the steps and the
semitones from each note to the next, so that transposition does not hide it. The null is what real
pieces that the model has not seen, continued by their composers, share with the training data.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwkv_music.model.protocol import MusicModel
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import Vocabulary, encode_phrase, load_vocabulary

from .completions import complete_pieces
from .note_table import NoteTable
from .pieces import Piece, read_split

Runs = NDArray[np.uint64]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads the bits


def runs_of(tokens: NDArray[np.generic], vocabulary: Vocabulary, length: int) -> Runs:
    """A 64-bit hash of every run of `length` notes in whole bars."""
    table = NoteTable(tokens.astype(np.int64), vocabulary)
    onset = table.line + table.onset
    moves = (np.diff(onset) * 256 + np.diff(table.pitch) + 128).astype(np.uint64)
    count = max(len(moves) - length + 2, 0)
    hashes = np.zeros(count, np.uint64)
    for i in range(length - 1):
        hashes = (hashes ^ moves[i : i + count]) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes


class KnownRuns:
    """The runs of a training set."""

    def __init__(self, pieces: list[Piece], vocabulary: Vocabulary, length: int) -> None:
        self._vocabulary, self._length = vocabulary, length
        self._runs = np.unique(
            np.concatenate([runs_of(piece.tokens, vocabulary, length) for piece in pieces])
        )

    def found(self, tokens: NDArray[np.generic]) -> tuple[int, int]:
        """How many of the bars' runs are known, and how many there are."""
        runs = runs_of(tokens, self._vocabulary, self._length)
        places = np.minimum(np.searchsorted(self._runs, runs), len(self._runs) - 1)
        return int((self._runs[places] == runs).sum()), len(runs)


def measure_copying(
    player: MusicModel[Any],
    data: Path,
    *,
    completions: int,
    context_bars: int = 8,
    bars: int = 8,
    lengths: tuple[int, ...] = (8, 16),
    sampling: Sampling | None = None,
    progress: Callable[[], None] = lambda: None,
) -> dict[int, tuple[float, float]]:
    """By length of run: the share of known runs in completions, and in the true continuations."""
    vocabulary = load_vocabulary()
    valid = read_split(data, "valid", vocabulary)
    made: list[NDArray[np.int64]] = []
    true: list[NDArray[np.int64]] = []
    for completion in complete_pieces(
        player, valid, completions, context_bars=context_bars, bars=bars, sampling=sampling
    ):
        made.append(np.array(encode_phrase(completion.made)))
        true.append(np.array(encode_phrase(completion.truth)))
        progress()
    train = read_split(data, "train", vocabulary)
    shares: dict[int, tuple[float, float]] = {}
    for length in lengths:
        known = KnownRuns(train, vocabulary, length)
        shares[length] = (_share(known, made), _share(known, true))
    return shares


def _share(known: KnownRuns, phrases: list[NDArray[np.int64]]) -> float:
    counts = np.array([known.found(tokens) for tokens in phrases])
    found, total = counts.sum(axis=0)
    return float(found / max(total, 1))
