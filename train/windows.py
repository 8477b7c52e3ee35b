"""Windows cut from pieces: N context bars, then completion bars, whose tokens are the targets.

A window is BOS and whole bars from a bar line on, so that what the daemon's start state (zero, then
BOS) hears is what was trained. Targets are what the daemon samples in the completion: positions,
pitches, velocities, durations, and `Bar` as the decision that a bar is over. The rest of a header
is forced there, and so is the first bar line; neither counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .augment import play_imprecisely, shift_levels
from .config import WindowOptions
from .pieces import Piece

Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """tokens: BOS and bars. first_target: the tokens from here on are the completion's."""

    tokens: Tokens
    first_target: int


def cut_window(
    piece: Piece,
    start_bar: int,
    context_bars: int,
    completion_bars: int | None,
    length: int,
    bos: int,
) -> Window:
    """BOS, context and completion, length + 1 tokens at most (inputs and the last target).

    What does not fit is cut from the front of the context, in whole bars, and only then from the
    end of the completion. completion_bars None: as many as fit after a context of half the length.
    """
    last = len(piece.bars) - 1
    border = min(start_bar + context_bars, last)
    end = last if completion_bars is None else min(border + completion_bars, last)
    if completion_bars is None:
        while start_bar < border and piece.bars[border] - piece.bars[start_bar] > length // 2:
            border -= 1
    else:
        while start_bar < border and piece.bars[end] - piece.bars[start_bar] > length:
            start_bar += 1
    first, stop = int(piece.bars[start_bar]), int(piece.bars[end])
    stop = min(stop, first + length)
    tokens = np.empty(1 + stop - first, np.int64)
    tokens[0] = bos
    tokens[1:] = piece.tokens[first:stop]
    return Window(tokens, 1 + min(int(piece.bars[border]), stop) - first)


def sampled_kinds(vocabulary: Vocabulary) -> NDArray[np.bool_]:
    """Which ids the daemon samples, [V]."""
    kinds = np.zeros(len(vocabulary), np.bool_)
    kinds[vocabulary.bar] = True
    for ids in (vocabulary.position, vocabulary.pitch, vocabulary.velocity, vocabulary.duration):
        kinds[ids.start : ids.stop] = True
    return kinds


def target_places(window: Window, sampled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Indices into window.tokens of the tokens that count."""
    counts = sampled[window.tokens]
    counts[: max(window.first_target, 2)] = False  # 1 is the first bar line
    return np.flatnonzero(counts)


class RandomWindows:
    """Random windows of a split. A window depends on (seed, number) alone, so a run can resume
    anywhere without a stored random state."""

    def __init__(
        self,
        pieces: list[Piece],
        vocabulary: Vocabulary,
        options: WindowOptions,
        set_weights: dict[str, float],
        seed: int,
    ) -> None:
        self._pieces, self._options, self._seed = pieces, options, seed
        self._vocabulary = vocabulary
        weights = np.array([len(p.tokens) * set_weights.get(p.set, 1.0) for p in pieces], float)
        self._cumulative = np.cumsum(weights / weights.sum())

    def window(self, number: int, part: int = 0, room: int | None = None) -> Window:
        """Window `number`; `part` tells several of one number, `room` a shorter length."""
        key = (self._seed, number, part) if part else (self._seed, number)
        rng = np.random.default_rng(key)
        options = self._options
        length = options.length if room is None else room
        index = min(int(np.searchsorted(self._cumulative, rng.random())), len(self._pieces) - 1)
        piece = self._pieces[index]
        context = int(rng.choice(options.context_bars))
        start = 0
        if rng.random() >= options.start_share:
            start = int(rng.integers(latest_full_start(piece, length) + 1))
        bos = self._vocabulary.bos
        window = cut_window(piece, start, context, options.completion_bars, length, bos)
        return varied(window, length, self._vocabulary, options, rng)


class SlidingWindows:
    """Windows one behind the other over all pieces: each bar is in the completion of one window an
    epoch, in an order that is another in each epoch. Context bars and variations are drawn anew.

    A completion is `completion_bars` long, or as many bars as fit into half the length.
    """

    def __init__(
        self, pieces: list[Piece], vocabulary: Vocabulary, options: WindowOptions, seed: int
    ) -> None:
        self._pieces, self._vocabulary, self._options = pieces, vocabulary, options
        self._seed = seed
        self._places: list[tuple[int, int, int]] = []  # piece, first bar of the completion, bars
        for index, piece in enumerate(pieces):
            border, last = 0, len(piece.bars) - 1
            while border < last:
                bars = options.completion_bars
                if bars is None:
                    reach = int(piece.bars[border]) + options.length // 2
                    bars = int(np.searchsorted(piece.bars, reach, side="right")) - 1 - border
                bars = min(max(bars, 1), last - border)
                self._places.append((index, border, bars))
                border += bars
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        """Windows an epoch."""
        return len(self._places)

    def window(self, number: int) -> Window:
        epoch, place = divmod(number, len(self._places))
        if epoch != self._epoch:
            rng = np.random.default_rng((self._seed, epoch, len(self._places)))
            self._epoch, self._order = epoch, rng.permutation(len(self._places))
        index, border, bars = self._places[self._order[place]]
        rng = np.random.default_rng((self._seed, number))
        options = self._options
        context = min(int(rng.choice(options.context_bars)), border)
        bos = self._vocabulary.bos
        piece = self._pieces[index]
        window = cut_window(piece, border - context, context, bars, options.length, bos)
        return varied(window, options.length, self._vocabulary, options, rng)


def varied(
    window: Window, length: int, v: Vocabulary, options: WindowOptions, rng: np.random.Generator
) -> Window:
    """The window in another key, loudness and tempo, its context perhaps as a person plays it."""
    tokens, first = shift_levels(window.tokens, v, options, rng), window.first_target
    if first > 1 and rng.random() < options.imprecise_share:
        shaky = rng.uniform(0, options.shaky_share)
        played = play_imprecisely(tokens[1:first], v, shaky, rng)
        tokens = np.concatenate([tokens[:1], played, tokens[first:]])[: length + 1]
        first = min(1 + len(played), len(tokens))
    return Window(tokens, first)


def latest_full_start(piece: Piece, length: int) -> int:
    """The last bar from which a window of that length is full; 0 in a short piece."""
    place = np.searchsorted(piece.bars, len(piece.tokens) - length, side="right") - 1
    return max(int(place), 0)


def validation_windows(
    pieces: list[Piece], vocabulary: Vocabulary, length: int, context_bars: int, count: int
) -> list[Window]:
    """Fixed windows of whole bars, without augmentation, each piece's bars covered once.

    The same for every model that is compared. count: that many, spread evenly over all pieces laid
    end to end; 0: all of them.
    """
    windows: list[Window] = []
    for piece in pieces:
        last = len(piece.bars) - 1
        start = 0
        while (border := start + context_bars) < last:
            reach = int(piece.bars[start]) + length
            end = int(np.searchsorted(piece.bars, reach, side="right")) - 1
            end = max(end, border + 1)  # one bar at least, even if it is cut
            window = cut_window(piece, start, context_bars, end - border, length, vocabulary.bos)
            windows.append(window)
            start = end - context_bars
    if count and count < len(windows):
        chosen = np.linspace(0, len(windows) - 1, count).round().astype(int)
        windows = [windows[i] for i in chosen]
    return windows
