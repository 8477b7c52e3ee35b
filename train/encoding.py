"""A MIDI file straight to tokens, all notes at once: what `rwkv_music.midi_files.read_phrase` and
`encode_bar` make of it note by note, several times as fast.

A *unit* is a twelfth of a tick (see `rwkv_music.bar_lines`). Shapes: n notes, b bars.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rwkv_music.bar_lines import Signature, bar_lines
from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import ReadOptions, parse_score, read_bytes
from rwkv_music.midi_grid import Tempos
from rwkv_music.music import HIGHEST_PITCH, LONGEST_STEPS, LOWEST_PITCH, METERS, STEPS_PER_BEAT
from rwkv_music.tokenizer import Vocabulary, load_vocabulary

from .note_table import write_bars

Numbers = NDArray[np.int64]
_METER_NUMBER = {meter: number for number, meter in enumerate(METERS)}
_METER_STEPS = np.array([meter.steps for meter in METERS])


@dataclass(frozen=True, slots=True)
class Encoded:
    """tokens; bars [b + 1]: where each bar starts in them, and their number."""

    tokens: Numbers
    bars: Numbers


def encode_file(path: str | PathLike[str], options: ReadOptions) -> Encoded:
    """The file's music from the first bar with a note, as one keyboard plays it; bars in meters
    without a token are left out, whatever `options` say of these two.

    Raises MidiFileError for what is no MIDI file, or cannot be said in tokens.
    """
    try:
        return encode_midi(read_bytes(path), options)
    except MidiFileError as error:
        message = str(error)
        raise error if str(path) in message else MidiFileError(f"{path}: {message}") from None


def encode_midi(data: bytes, options: ReadOptions) -> Encoded:
    """`encode_file` of a file's bytes. Raises MidiFileError."""
    v = load_vocabulary()
    score = parse_score(data)
    tpq = int(score.tpq)
    time, duration, pitch, velocity = _wanted_notes(score, options)
    signatures = [
        Signature(int(s.time), int(s.numerator), int(s.denominator)) for s in score.time_signatures
    ]
    lines = bar_lines(signatures, tpq, int(time.max(initial=-1)))
    tempos = Tempos(((int(e.time), float(e.qpm)) for e in score.tempos), tpq)
    headers = np.array(
        [
            [v.bar, v.meter.start + _METER_NUMBER[line.meter], v.tempo_id(tempos.at(line.unit))]
            for line in lines
            if line.meter is not None
        ],
        np.int64,
    ).reshape(-1, 3)
    units = np.array([line.unit for line in lines], np.int64)
    ends = np.array([line.end_unit for line in lines], np.int64)
    meters = np.array([-1 if x.meter is None else _METER_NUMBER[x.meter] for x in lines], np.int64)

    unit = time * STEPS_PER_BEAT
    home = np.searchsorted(units, unit, side="right") - 1
    onset = np.maximum((2 * (unit - units[home]) + tpq) // (2 * tpq), 0)
    fits = meters[home] >= 0
    onset = np.where(fits, np.minimum(onset, _METER_STEPS[meters[home]] - 1), onset)
    on_next = 2 * (ends[home] - unit) <= tpq
    home, onset = np.where(on_next, home + 1, home), np.where(on_next, 0, onset)
    steps = (2 * duration * STEPS_PER_BEAT + tpq) // (2 * tpq)
    steps = np.clip(steps, 1, LONGEST_STEPS)

    heard = meters[home] >= 0
    bar = (np.cumsum(meters >= 0) - 1)[home[heard]]
    onset, pitch, velocity, steps = (x[heard] for x in (onset, pitch, velocity, steps))
    order = np.lexsort((velocity, steps, pitch, onset, bar))
    bar, onset, pitch, velocity, steps = (x[order] for x in (bar, onset, pitch, velocity, steps))
    last = np.ones(len(bar), np.bool_)  # of two of a pitch on a step, the longer, then the louder
    last[:-1] = (bar[1:] != bar[:-1]) | (onset[1:] != onset[:-1]) | (pitch[1:] != pitch[:-1])
    bar, onset, pitch, velocity, steps = (x[last] for x in (bar, onset, pitch, velocity, steps))
    if not len(bar):
        return Encoded(np.empty(0, np.int64), np.zeros(1, np.int64))

    lengths = _METER_STEPS[headers[:, 1] - v.meter.start]
    struck = (np.cumsum(lengths) - lengths)[bar] + onset
    steps = cut_at_next(struck, pitch, steps)
    first = int(bar[0])  # silence before the first note is not heard
    tokens, starts = write_bars(
        headers[first:],
        bar - first,
        onset + v.position.start,
        pitch - LOWEST_PITCH + v.pitch.start,
        _velocity_ids(v)[velocity],
        steps - 1 + v.duration.start,
    )
    return Encoded(tokens, starts)


def cut_at_next(struck: Numbers, pitch: Numbers, steps: Numbers) -> Numbers:
    """Durations, where a key that is struck again ends its earlier note."""
    order = np.lexsort((struck, pitch))
    again = pitch[order][1:] == pitch[order][:-1]
    room = np.diff(struck[order])
    cut = steps.copy()
    earlier = order[:-1][again]
    cut[earlier] = np.minimum(cut[earlier], room[again])
    return cut


def _wanted_notes(score: Any, options: ReadOptions) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Onset and duration in ticks, pitch and velocity of the notes on the keyboard, [n] each."""
    names = {name.casefold() for name in options.leave_out_names}
    columns: list[list[Numbers]] = [[], [], [], []]
    for track in score.tracks:
        if track.is_drum:
            continue
        if track.name.casefold() in names or track.program in options.leave_out_programs:
            continue
        arrays = track.notes.numpy()
        for column, key in zip(columns, ("time", "duration", "pitch", "velocity"), strict=True):
            column.append(arrays[key].astype(np.int64))
    empty = np.empty(0, np.int64)
    time, duration, pitch, velocity = (np.concatenate([empty, *column]) for column in columns)
    if (time < 0).any() or (duration < 0).any():
        raise MidiFileError("a note is more than 2^31 ticks from the start")
    wanted = (pitch >= LOWEST_PITCH) & (pitch <= HIGHEST_PITCH)
    wanted &= (velocity >= 1) & (velocity <= 127)
    return time[wanted], duration[wanted], pitch[wanted], velocity[wanted]


@cache
def _velocity_ids(v: Vocabulary) -> Numbers:
    """The id of each velocity; 0 has none."""
    return np.array([0, *(v.velocity_id(velocity) for velocity in range(1, 128))])
