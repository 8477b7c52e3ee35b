"""How much of what a model plays stands note for note in its training data.

A run is a number of consecutive notes, in the order of their tokens, told by the steps and the
semitones from each note to the next, so that transposition does not hide it. The null is what real
pieces that the model has not seen, continued by their composers, share with the training data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwkv_music.music import Phrase
from rwkv_music.tokenizer import Vocabulary, encode_phrase, load_vocabulary

from .note_table import NoteTable
from .pieces import Piece

Tokens = NDArray[np.generic]
Counts = NDArray[np.int64]
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
    """How many runs of each phrase there are and are known, by their length, and each phrase's
    longest known run, in notes."""

    runs: dict[int, Counts]
    known: dict[int, Counts]
    longest: Counts

    @property
    def shares(self) -> dict[int, float]:
        """Of all runs of a length, those that are known."""
        return {
            length: float(known.sum()) / max(int(self.runs[length].sum()), 1)
            for length, known in self.known.items()
        }

    def more_than(self, other: Copied, length: int) -> tuple[float, float]:
        """By how much this share is above the other's, of as many phrases that belong together in
        pairs, and the standard error of that."""
        shares = self.shares[length], other.shares[length]
        over, under = (
            (each.known[length] - share * each.runs[length]) / max(int(each.runs[length].sum()), 1)
            for each, share in zip((self, other), shares, strict=True)
        )
        return shares[0] - shares[1], float(np.sqrt(np.square(over - under).sum()))


def find_copied(
    phrases: Sequence[Tokens],
    train: Iterable[Tokens],
    vocabulary: Vocabulary,
    lengths: tuple[int, ...] = (8, 16),
) -> Copied:
    """What of the phrases stands in the training data. Only what is known is made longer."""
    known, asked = Runs(train, vocabulary), Runs(phrases, vocabulary)
    runs: dict[int, Counts] = {}
    found: dict[int, Counts] = {}
    longest = np.minimum(asked.sizes, 1)
    while len(asked.hashes) or asked.notes < max(lengths):
        known.lengthen()
        asked.lengthen()
        known.keep(np.isin(known.hashes, asked.hashes))
        asked.keep(np.isin(asked.hashes, known.hashes))
        longest[asked.pieces] = asked.notes
        if asked.notes in lengths:
            runs[asked.notes] = np.maximum(asked.sizes - asked.notes + 1, 0)
            found[asked.notes] = np.bincount(asked.pieces, minlength=len(phrases))
    return Copied(runs, found, longest)


def copied_of(phrases: Iterable[Phrase], train: Sequence[Piece]) -> Copied:
    """What of the phrases stands in those pieces."""
    asked = [np.array(encode_phrase(phrase)) for phrase in phrases]
    return find_copied(asked, [piece.tokens for piece in train], load_vocabulary())
