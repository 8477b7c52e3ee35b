"""How much of what a model plays stands note for note in its training data.

A run is a number of consecutive notes, in the order of their tokens, told by the steps and the
semitones from each note to the next, so that transposition does not hide it. The null is what real
pieces that the model has not seen, continued by their composers, share with the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwkv_music.model.protocol import MusicModel
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import Vocabulary, encode_phrase, load_vocabulary

from .completions import complete_pieces
from .note_table import NoteTable
from .pieces import read_split

Tokens = NDArray[np.generic]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads the bits


class Runs:
    """All runs of a number of notes, first of one, in each of some pieces of whole bars."""

    def __init__(self, pieces: Iterable[Tokens], vocabulary: Vocabulary) -> None:
        moves = [_moves(tokens, vocabulary) for tokens in pieces]
        self.notes = 1
        self.sizes = np.array([len(piece) for piece in moves])
        self._moves = np.concatenate(moves)
        self._starts = np.arange(len(self._moves))
        self.pieces = np.repeat(np.arange(len(moves)), self.sizes)  # of each run
        self.hashes = np.zeros(len(self._moves), np.uint64)  # of each run
        self._ends = np.cumsum(self.sizes)

    def lengthen(self) -> None:
        """One note more for each run; those that end with their piece are no more."""
        self.notes += 1
        self.keep(self._starts + self.notes <= self._ends[self.pieces])
        mixed = (self.hashes ^ self._moves[self._starts + self.notes - 2]) * _MULTIPLIER
        self.hashes = mixed ^ (mixed >> np.uint64(29))

    def keep(self, wanted: NDArray[np.bool_]) -> None:
        """Forget all other runs, and what they would grow into."""
        self._starts, self.pieces = self._starts[wanted], self.pieces[wanted]
        self.hashes = self.hashes[wanted]


def _moves(tokens: Tokens, vocabulary: Vocabulary) -> NDArray[np.uint64]:
    """From each note to the next, of which the last has none."""
    table = NoteTable(tokens.astype(np.int64), vocabulary)
    steps = np.diff(table.line + table.onset, append=0)
    return np.asarray(steps * 256 + np.diff(table.pitch, append=0) + 128).astype(np.uint64)


@dataclass(frozen=True, slots=True)
class Copied:
    """The share of runs that are known, by their length, and the longest known run of each phrase,
    in notes."""

    shares: dict[int, float]
    longest: NDArray[np.int64]


def find_copied(
    phrases: Sequence[Tokens],
    train: Iterable[Tokens],
    vocabulary: Vocabulary,
    lengths: tuple[int, ...] = (8, 16),
) -> Copied:
    """What of the phrases stands in the training data. Only what is known is made longer."""
    known, asked = Runs(train, vocabulary), Runs(phrases, vocabulary)
    shares: dict[int, float] = {}
    longest = np.minimum(asked.sizes, 1)
    while len(asked.hashes) or asked.notes < max(lengths):
        known.lengthen()
        asked.lengthen()
        known.keep(np.isin(known.hashes, asked.hashes))
        asked.keep(np.isin(asked.hashes, known.hashes))
        longest[asked.pieces] = asked.notes
        if asked.notes in lengths:
            total = np.maximum(asked.sizes - asked.notes + 1, 0).sum()
            shares[asked.notes] = len(asked.hashes) / max(int(total), 1)
    return Copied(shares, longest)


def measure_copying(
    player: MusicModel[Any],
    data: Path,
    *,
    completions: int,
    context_bars: int = 8,
    bars: int = 8,
    sampling: Sampling | None = None,
    progress: Callable[[], None] = lambda: None,
) -> tuple[Copied, Copied]:
    """Of completions, and of the true continuations."""
    vocabulary = load_vocabulary()
    valid = read_split(data, "valid", vocabulary)
    made: list[Tokens] = []
    true: list[Tokens] = []
    for completion in complete_pieces(
        player, valid, completions, context_bars=context_bars, bars=bars, sampling=sampling
    ):
        made.append(np.array(encode_phrase(completion.made)))
        true.append(np.array(encode_phrase(completion.truth)))
        progress()
    train = [piece.tokens for piece in read_split(data, "train", vocabulary)]
    return find_copied(made, train, vocabulary), find_copied(true, train, vocabulary)
