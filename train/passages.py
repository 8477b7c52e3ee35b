"""The same bars told after much and after little context, clean and played imprecisely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rwkv_music.errors import ConfigError
from rwkv_music.tokenizer import Vocabulary

from .augment import play_imprecisely
from .pieces import Piece
from .windows import Window, cut_window

_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Passage:
    """`bars` bars of a piece from `border` on: what is to be told."""

    piece: Piece
    border: int
    bars: int

    def after(self, context_bars: int, vocabulary: Vocabulary) -> Window:
        """BOS, the context, and the passage, whose tokens are the targets."""
        start = self.border - context_bars
        bos = vocabulary.bos
        return cut_window(self.piece, start, context_bars, self.bars, _NO_LIMIT, bos)


def passages(pieces: Sequence[Piece], count: int, most_context: int, bars: int) -> list[Passage]:
    """About `count` passages that have `most_context` bars before them, spread evenly over all such
    places; they do not overlap. Raises ConfigError where no piece is long enough."""
    found = [
        Passage(piece, border, bars)
        for piece in pieces
        for border in range(most_context, len(piece.bars) - bars, bars)
    ]
    if not found:
        raise ConfigError(f"no piece has {most_context + bars} bars; ask for a shorter context")
    chosen = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [found[i] for i in chosen]


def with_imprecise_context(window: Window, vocabulary: Vocabulary, share: float) -> Window:
    """The window with a `share` of the onsets, and of the durations, of its context a step off."""
    if window.first_target <= 1:
        return window
    rng = np.random.default_rng(len(window.tokens))
    context = window.tokens[1 : window.first_target]
    played = play_imprecisely(context, vocabulary, share, rng)
    tokens = np.concatenate([window.tokens[:1], played, window.tokens[window.first_target :]])
    return Window(tokens, 1 + len(played))
