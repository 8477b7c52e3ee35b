"""Windows side by side in a batch, several in one row where they are packed, and which positions of
it the loss looks at. All indices are made here, where they cost no wait for a device.

Shapes: B rows, T time, R positions that count, K positions that the last layer works out. Positions
index the flattened B * T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .windows import Tokens, Window, sampled_kinds, target_places

Indices = NDArray[np.int64]
A = TypeVar("A")  # arrays here, tensors in the model

MULTIPLE = 16  # T is a multiple of it: the recurrence works in chunks of as many steps


@dataclass(frozen=True, slots=True)
class Slice(Generic[A]):
    """What the last layer must work out for the positions that count.

    rows [R]: the positions that count. near [K], ascending: those, the ones just before them (the
    channel mix looks one step back) and the last of each row (the state that goes on).
    here [R], ends [B]: where the rows, and the last positions, stand in `near`.
    before [R]: where the position before each row stands in `near`, followed by the B inputs that
    the batch's rows began with, followed by a zero.
    """

    rows: A
    near: A
    here: A
    before: A
    ends: A

    @property
    def arrays(self) -> tuple[A, A, A, A, A]:
        return self.rows, self.near, self.here, self.before, self.ends


def slice_of(
    rows_R: Indices, batch: int, steps: int, resets_BT: NDArray[np.bool_] | None = None
) -> Slice[Indices]:
    """The slice of ascending positions `rows_R` in a batch of that shape."""
    row_R, time_R = np.divmod(rows_R, steps)
    first_R = time_R == 0
    fresh_R = np.zeros_like(first_R) if resets_BT is None else resets_BT.reshape(-1)[rows_R]
    last_B = np.arange(1, batch + 1) * steps - 1
    near_K = np.unique(np.concatenate([rows_R, rows_R[~first_R & ~fresh_R] - 1, last_B]))
    before_R = np.searchsorted(near_K, rows_R - 1)
    before_R[first_R] = len(near_K) + row_R[first_R]
    before_R[fresh_R] = len(near_K) + batch
    here_R, ends_B = np.searchsorted(near_K, rows_R), np.searchsorted(near_K, last_B)
    return Slice(rows_R, near_K, here_R, before_R, ends_B)


@dataclass(frozen=True, slots=True)
class Batch:
    """inputs [B, T]; targets [R]: the ids that should follow at `slice.rows`; resets [B, T]: where
    everything heard before is forgotten, None where that is nowhere. Rows and targets come from
    one index."""

    inputs: Tokens
    slice: Slice[Indices]
    targets: Tokens
    resets: NDArray[np.bool_] | None = None

    @property
    def rows(self) -> Indices:
        return self.slice.rows


def collate(
    rows: Sequence[Window | Sequence[Window]], vocabulary: Vocabulary, multiple: int = MULTIPLE
) -> Batch:
    """Rows of one window or of several, one behind the other. Rows that are shorter than the
    longest are padded on the right, to a multiple of `multiple`; padding never counts."""
    sampled = sampled_kinds(vocabulary)
    packed = [(row,) if isinstance(row, Window) else tuple(row) for row in rows]
    longest = max(sum(len(window.tokens) - 1 for window in row) for row in packed)
    steps = max(-(-longest // multiple) * multiple, multiple)
    inputs = np.full((len(packed), steps), vocabulary.pad, np.int64)
    resets = np.zeros((len(packed), steps), np.bool_)
    places, targets = [], []
    for number, row in enumerate(packed):
        start = 0
        for window in row:
            stop = start + len(window.tokens) - 1
            inputs[number, start:stop] = window.tokens[:-1]
            resets[number, start] = start > 0
            counted = target_places(window, sampled)
            places.append(number * steps + start + counted - 1)
            targets.append(window.tokens[counted])
            start = stop
    forgets = resets if resets.any() else None
    counted = np.concatenate(places)
    return Batch(
        inputs,
        slice_of(counted, len(packed), steps, forgets),
        np.concatenate(targets),
        forgets,
    )
