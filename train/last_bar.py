"""The simplest baseline: it expects that the last bar is played again.

Inside a bar the last one says which note comes next: the first that lies behind the notes so far,
in the order of tokens. A token is that note's with a probability that depends on its kind of
place, else drawn from how often each token stands in such places. Both are taken from the training
split.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .evaluate import Floats
from .pieces import Piece
from .windows import Window, sampled_kinds, target_places

NEXT, PITCH, VELOCITY, DURATION = range(4)  # kinds of places: what may stand there
_ROUNDS = 30
_NONE = -1

Ids = NDArray[np.int64]
_Note = tuple[int, int, int, int]  # position, pitch, velocity, duration, as ids


class LastBar:
    """Implements evaluate.Teller."""

    def __init__(self, pieces: Sequence[Piece], vocabulary: Vocabulary) -> None:
        self._vocabulary, self._sampled = vocabulary, sampled_kinds(vocabulary)
        found = [self._read(piece.tokens.astype(np.int64)) for piece in pieces]
        ids, place, expected = (np.concatenate(columns) for columns in zip(*found, strict=True))
        counts = np.zeros((4, len(vocabulary)))
        counts[:, self._sampled] = 0.5  # so that nothing is impossible
        np.add.at(counts, (place, ids), 1)
        self.usual = counts / counts.sum(axis=1, keepdims=True)
        self.again = np.array(
            [self._trust(ids[place == kind], expected[place == kind], kind) for kind in range(4)]
        )

    def nats(self, windows: Sequence[Window]) -> list[Floats]:
        found = []
        for window in windows:
            ids, place, expected = self._read(window.tokens[1:])
            where = np.flatnonzero(self._sampled[window.tokens[1:]])
            wanted = np.isin(where, target_places(window, self._sampled) - 1)
            chances = self.chances(ids[wanted], place[wanted], expected[wanted])
            found.append(-np.log(chances))
        return found

    def chances(self, ids: Ids, place: Ids, expected: Ids) -> Floats:
        """P(id) at a kind of place where the last bar has `expected` (-1: there is none)."""
        trust = np.where(expected == _NONE, 0.0, self.again[place])
        return np.asarray(trust * (ids == expected) + (1 - trust) * self.usual[place, ids])

    def _trust(self, ids: Ids, expected: Ids, kind: int) -> float:
        """The probability of repeating under which the training split, and one more place where
        nothing repeats, are likeliest, by expectation maximisation."""
        known = expected != _NONE
        if not known.any():
            return 0.0
        hits = (ids == expected)[known]
        usual = self.usual[kind, ids[known]]
        trust = 0.5
        for _ in range(_ROUNDS):
            again = trust * hits
            trust = float((again / (again + (1 - trust) * usual)).sum()) / (len(hits) + 1)
        return trust

    def _read(self, tokens: Ids) -> tuple[Ids, Ids, Ids]:
        """Of each sampled token: its id, its kind of place, what repeating would bring."""
        rows = list(_read(tokens.tolist(), self._vocabulary))
        ids, place, expected = np.array(rows, np.int64).reshape(-1, 3).T
        return ids, place, expected


def _read(tokens: list[int], v: Vocabulary) -> Iterator[tuple[int, int, int]]:
    last: list[_Note] | None = None  # no bar has been heard whole
    bar: list[_Note] | None = None
    position = pitch = velocity = _NONE

    def following() -> int:
        """What leads to the last bar's next note."""
        if last is None:
            return _NONE
        place = bisect_right(last, (position, pitch, len(v), 0))
        if place == len(last):
            return v.bar
        return last[place][1] if last[place][0] == position else last[place][0]

    def there(part: int) -> int:
        """A part of the last bar's note at this place, or of the next behind it."""
        if not last:
            return _NONE
        return last[min(bisect_left(last, (position, pitch)), len(last) - 1)][part]

    for token in tokens:
        if token == v.bar:
            yield token, NEXT, following()
            last, bar = bar, []
            position = pitch = _NONE
        elif token in v.position:
            yield token, NEXT, following()
            position, pitch = token, _NONE
        elif token in v.pitch:
            yield (token, PITCH, there(1)) if pitch == _NONE else (token, NEXT, following())
            pitch = token
        elif token in v.velocity:
            yield token, VELOCITY, there(2)
            velocity = token
        elif token in v.duration:
            yield token, DURATION, there(3)
            if bar is not None:
                bar.append((position, pitch, velocity, token))
