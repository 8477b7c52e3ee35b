"""Tokens of whole bars as columns of notes, and columns of notes as tokens.

Shapes: n notes, b bars.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwkv_music.music import METERS
from rwkv_music.tokenizer import Vocabulary

Tokens = NDArray[np.int64]

HEADER = 3  # tokens that open a bar


class NoteTable:
    """The notes of whole bars, and the bars: headers [b, 3], lines and lengths in steps [b]."""

    def __init__(self, bars: Tokens, v: Vocabulary) -> None:
        opens = np.flatnonzero(bars == v.bar)
        self.headers = bars[opens[:, None] + np.arange(HEADER)]
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


def write_bars(
    headers: Tokens,
    bar: Tokens,
    position: Tokens,
    pitch: Tokens,
    velocity: Tokens,
    duration: Tokens,
) -> tuple[Tokens, Tokens]:
    """Tokens of bars with these headers [b, 3], and where each bar starts in them [b + 1].

    bar [n]: the bar of each note; the rest [n] are token ids. Notes are in canonical order.
    """
    opens_chord = np.ones(len(bar), np.bool_)
    opens_chord[1:] = (bar[1:] != bar[:-1]) | (position[1:] != position[:-1])
    sizes = 3 + opens_chord
    before = np.searchsorted(bar, np.arange(len(headers) + 1))  # notes before each bar
    total = np.concatenate([[0], np.cumsum(sizes)])
    starts = total[before] + HEADER * np.arange(len(headers) + 1)
    written = np.empty(int(starts[-1]), np.int64)
    written[starts[:-1, None] + np.arange(HEADER)] = headers
    ends = total[1:] + HEADER * (bar + 1)
    for back, ids in ((3, pitch), (2, velocity), (1, duration)):
        written[ends - back] = ids
    written[ends[opens_chord] - 4] = position[opens_chord]
    return written, starts
