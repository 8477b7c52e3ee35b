"""An n-gram model over the same tokens, the baseline to beat: interpolated Kneser-Ney with the
modified discounts of Chen and Goodman (1999), estimated for each order.

A gram is packed into one int64, oldest token first, so V^order must stay below 2^63.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .pieces import Piece
from .windows import Window, sampled_kinds, target_places

Grams = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Order:
    """One order: sorted grams with their discounted share, sorted histories with what is left for
    the next lower order."""

    grams: Grams
    shares: Floats  # (count - discount) / count of the history
    histories: Grams
    left: Floats  # weight of the lower order after this history


class NGram:
    """P(token | the order - 1 tokens before it). Implements evaluate.Teller."""

    def __init__(self, pieces: list[Piece], vocabulary: Vocabulary, order: int) -> None:
        self.order, self._size, self._bos = order, len(vocabulary), vocabulary.bos
        self._sampled = sampled_kinds(vocabulary)
        text = np.concatenate([self._padded(piece.tokens) for piece in pieces])
        grams = _packed(text, order, self._size)
        grams = grams[grams % self._size != self._bos]  # nothing predicts the start of a piece
        keys, counts = np.unique(grams, return_counts=True)
        self._orders: list[_Order] = []  # highest first
        for length in range(order, 0, -1):
            self._orders.append(_estimated(keys, counts, self._size))
            if length > 1:  # lower orders count in how many contexts a gram was seen
                keys, counts = np.unique(keys % self._size ** (length - 1), return_counts=True)

    def nats(self, windows: Sequence[Window]) -> list[Floats]:
        """Of each target of each window: minus the logarithm of its probability."""
        found = []
        for window in windows:
            places = target_places(window, self._sampled)
            padded = self._padded(window.tokens[1:])
            grams = _packed(padded, self.order, self._size)[places - 1]
            found.append(-np.log(self.probabilities(grams)))
        return found

    def probabilities(self, grams: Grams) -> Floats:
        """Of the last token of each gram, given those before it."""
        result = np.zeros(len(grams))
        weight = np.ones(len(grams))
        for length, order in zip(range(self.order, 0, -1), self._orders, strict=True):
            part = grams % self._size**length
            result += weight * _looked_up(order.grams, order.shares, part, 0.0)
            weight *= _looked_up(order.histories, order.left, part // self._size, 1.0)
        return result + weight / self._size

    def _padded(self, tokens: NDArray[np.generic]) -> Grams:
        start = np.full(self.order - 1, self._bos, np.int64)
        return np.concatenate([start, tokens.astype(np.int64)])


def _packed(text: Grams, order: int, size: int) -> Grams:
    """Every run of `order` tokens; the one that ends at token i + order - 1 stands at i."""
    count = len(text) - order + 1
    grams = np.zeros(max(count, 0), np.int64)
    for i in range(order):
        grams = grams * size + text[i : i + count]
    return grams


def _estimated(grams: Grams, counts: Grams, size: int) -> _Order:
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    histories, first = np.unique(grams // size, return_index=True)
    totals = np.add.reduceat(counts, first)
    lengths = np.diff(np.append(first, len(grams)))
    shares = (counts - discounts) / np.repeat(totals, lengths)
    return _Order(grams, shares, histories, np.add.reduceat(discounts, first) / totals)


def _discounts(counts: Grams) -> Floats:
    """What is taken from counts of 0, 1, 2, and 3 or more."""
    n1, n2, n3, n4 = (float((counts == n).sum()) for n in (1, 2, 3, 4))
    if not (n1 and n2 and n3):  # too little text to estimate: take half a count
        return np.array([0.0, 0.5, 0.5, 0.5])
    y = n1 / (n1 + 2 * n2)
    wanted = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return np.array([0.0, *(min(max(d, 0.1), c) for c, d in enumerate(wanted, 1))])


def _looked_up(keys: Grams, values: Floats, wanted: Grams, missing: float) -> Floats:
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], missing)
