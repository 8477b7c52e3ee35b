"""The same music in other keys, louder or softer, faster or slower, and as a person would play it.

All on token arrays, without a detour over notes where none is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .config import WindowOptions
from .encoding import cut_at_next
from .note_table import NoteTable, write_bars

Tokens = NDArray[np.int64]


def shift_levels(
    tokens: Tokens, vocabulary: Vocabulary, options: WindowOptions, rng: np.random.Generator
) -> Tokens:
    """Transpose and shift the velocity and tempo classes, each by one amount for the window.

    A shift is drawn among those that keep every note on the keyboard and every class in range, so
    that intervals and contrasts survive.
    """
    shifted = tokens.copy()
    for ids, most in (
        (vocabulary.pitch, options.transpose),
        (vocabulary.velocity, options.velocity_classes),
        (vocabulary.tempo, options.tempo_classes),
    ):
        where = (tokens >= ids.start) & (tokens < ids.stop)
        if most and where.any():
            held = tokens[where]
            lowest = max(-most, ids.start - int(held.min()))
            highest = min(most, ids.stop - 1 - int(held.max()))
            shifted[where] += int(rng.integers(lowest, highest + 1))
    return shifted


def play_imprecisely(
    bars: Tokens, vocabulary: Vocabulary, shaky: float, rng: np.random.Generator
) -> Tokens:
    """Whole bars with a share `shaky` of their onsets and durations a step off, chord tones each
    on their own. The bars' headers and borders stay; the result is as canonical as real bars."""
    v = vocabulary
    note = NoteTable(bars, v)
    count = len(note.pitch)
    if not count:
        return bars
    moved = rng.choice((-1, 1), count) * (rng.random(count) < shaky)
    onset = note.line + note.onset + moved
    first, last = note.lines[0], note.lines[-1] + note.lengths[-1] - 1
    onset = np.clip(onset, first, last)
    stretched = rng.choice((-1, 1), count) * (rng.random(count) < shaky)
    duration = np.clip(note.duration + stretched, 1, len(v.duration))
    order = np.lexsort((-duration, note.pitch, onset))
    onset, pitch, velocity, duration = (
        x[order] for x in (onset, note.pitch, note.velocity, duration)
    )
    single = np.ones(count, np.bool_)  # of two of a pitch on a step, the longer
    single[1:] = (onset[1:] != onset[:-1]) | (pitch[1:] != pitch[:-1])
    onset, pitch, velocity, duration = (x[single] for x in (onset, pitch, velocity, duration))
    duration = cut_at_next(onset, pitch, duration)
    bar = np.searchsorted(note.lines, onset, side="right") - 1
    position = onset - note.lines[bar] + v.position.start
    ids = position, pitch + v.pitch.start, velocity, duration - 1 + v.duration.start
    return write_bars(note.headers, bar, *ids)[0]
