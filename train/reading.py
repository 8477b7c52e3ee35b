"""What each step of a run reads: windows, one or several in a row, or whole pieces end to end.

A batch depends on (seed, step) alone, so that a run resumes anywhere and ranks share out its rows
without talking.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .augment import shift_levels
from .batches import Batch, collate, slice_of
from .config import DataOptions
from .pieces import Piece
from .windows import RandomWindows, SlidingWindows, Tokens, Window, sampled_kinds


class Reader(Protocol):
    """Gives each step its batch. carries: rows go on where they ended in the step before."""

    carries: bool

    def read(self, step: int, rows: range) -> Batch:
        """Those of the step's rows that are asked for."""
        ...


def make_reader(
    pieces: list[Piece], vocabulary: Vocabulary, options: DataOptions, batch: int, seed: int
) -> Reader:
    """The reader that `data.order` names, for steps of `batch` rows."""
    if options.order == "pieces":
        return WholePieces(pieces, vocabulary, options, seed)
    return WindowRows(pieces, vocabulary, options, batch, seed)


class WindowRows:
    """Rows of windows. Packed, a row is filled up to the last token with further random windows,
    the last of them cut to what is left."""

    carries = False

    def __init__(
        self,
        pieces: list[Piece],
        vocabulary: Vocabulary,
        options: DataOptions,
        batch: int,
        seed: int,
    ) -> None:
        windows = options.windows
        self._random = RandomWindows(pieces, vocabulary, windows, options.set_weights, seed)
        self._first: RandomWindows | SlidingWindows = self._random
        if options.order == "sliding":
            self._first = SlidingWindows(pieces, vocabulary, windows, seed)
        self._vocabulary, self._batch = vocabulary, batch
        self._packed, self._length = options.packed, windows.length

    def read(self, step: int, rows: range) -> Batch:
        return collate([self.row(step * self._batch + row) for row in rows], self._vocabulary)

    def row(self, number: int) -> list[Window]:
        """The windows of row `number`, counted over all steps."""
        row = [self._first.window(number)]
        room = self._length - len(row[0].tokens) + 1
        while self._packed and room > 0:
            row.append(self._random.window(number, len(row), room))
            room -= len(row[-1].tokens) - 1
        return row


class WholePieces:
    """Truncated back-propagation through whole pieces: each row is an endless tape of BOS and a
    piece, BOS and a piece; a step reads the next T tokens of it from the state that the step before
    ended in. A tape has every piece once an epoch, in an order of its own.
    """

    carries = True

    def __init__(
        self, pieces: list[Piece], vocabulary: Vocabulary, options: DataOptions, seed: int
    ) -> None:
        self._pieces, self._vocabulary, self._options = pieces, vocabulary, options.windows
        self._seed, self._steps = seed, options.windows.length
        self._lengths = np.array([1 + len(piece.tokens) for piece in pieces], np.int64)
        self._epoch_tokens = int(self._lengths.sum())
        self._sampled = sampled_kinds(vocabulary)
        self._orders: dict[int, tuple[int, NDArray[np.int64], NDArray[np.int64]]] = {}

    def read(self, step: int, rows: range) -> Batch:
        tapes = [self._tape(row, step * self._steps, self._steps + 1) for row in rows]
        tokens_BT = np.stack([tokens for tokens, _ in tapes])
        after_BT = np.stack([after for _, after in tapes])  # how many tokens since BOS
        inputs_BT = tokens_BT[:, :-1]
        counts_BT = self._sampled[tokens_BT[:, 1:]] & (after_BT[:, 1:] > 1)
        rows_R = np.flatnonzero(counts_BT)
        resets_BT = after_BT[:, :-1] == 0
        return Batch(
            np.ascontiguousarray(inputs_BT),
            slice_of(rows_R, len(inputs_BT), self._steps, resets_BT),
            tokens_BT[:, 1:].reshape(-1)[rows_R],
            resets_BT if resets_BT.any() else None,
        )

    def _tape(self, row: int, start: int, count: int) -> tuple[Tokens, Tokens]:
        """Tokens [start, start + count) of a row's tape, and how far each is from its BOS."""
        tokens, after = np.empty(count, np.int64), np.empty(count, np.int64)
        done = 0
        while done < count:
            epoch, place = divmod(start + done, self._epoch_tokens)
            order, ends = self._order(row, epoch)
            number = int(np.searchsorted(ends, place, side="right"))
            index = int(order[number])
            offset = place - int(ends[number] - self._lengths[index])
            part = self._varied(row, epoch, index)[offset : offset + count - done]
            tokens[done : done + len(part)] = part
            after[done : done + len(part)] = np.arange(offset, offset + len(part))
            done += len(part)
        return tokens, after

    def _order(self, row: int, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pieces in the order of this row's epoch, and where each ends on the tape."""
        held = self._orders.get(row)
        if held is None or held[0] != epoch:
            rng = np.random.default_rng((self._seed, row, epoch))
            order = rng.permutation(len(self._pieces))
            held = self._orders[row] = epoch, order, np.cumsum(self._lengths[order])
        return held[1:]

    def _varied(self, row: int, epoch: int, index: int) -> Tokens:
        """BOS and a piece, in the key, loudness and tempo of this reading."""
        rng = np.random.default_rng((self._seed, row, epoch, index))
        tokens = np.empty(self._lengths[index], np.int64)
        tokens[0] = self._vocabulary.bos
        tokens[1:] = self._pieces[index].tokens
        return shift_levels(tokens, self._vocabulary, self._options, rng)
