"""Tokens of whole bars as columns of notes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwkv_music.music import METERS
from rwkv_music.tokenizer import Vocabulary

Tokens = NDArray[np.int64]


class NoteTable:
    """The notes of whole bars, and the bars: headers [n, 3], lines and lengths in steps [n]."""

    def __init__(self, bars: Tokens, v: Vocabulary) -> None:
        opens = np.flatnonzero(bars == v.bar)
        self.headers = bars[opens[:, None] + np.arange(3)]
        steps = np.array([meter.steps for meter in METERS])
        self.lengths = steps[self.headers[:, 1] - v.meter.start]
        self.lines = np.cumsum(self.lengths) - self.lengths
        places = np.flatnonzero((bars >= v.pitch.start) & (bars < v.pitch.stop))
        places = places[places + 2 < len(bars)]
        self.pitch = bars[places] - v.pitch.start
        self.velocity = bars[places + 1]
        self.duration = bars[places + 2] - v.duration.start + 1
        is_position = (bars >= v.position.start) & (bars < v.position.stop)
        latest = np.maximum.accumulate(np.where(is_position, np.arange(len(bars)), 0))
        self.onset = bars[latest[places]] - v.position.start
        self.line = self.lines[np.searchsorted(opens, places, side="right") - 1]
