"""Completion of files: a performance in, the same performance and its continuation out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .composing import composing
from .errors import MidiFileError
from .midi_append import append_track
from .midi_files import Reading, parse_midi, read_bytes, write_atomically
from .model.protocol import MusicModel
from .music import STEPS_PER_BEAT, Phrase
from .sampling import Sampling
from .session import Start

Progress = Callable[[], None]
TRACK_NAME = "RWKV Music"


@dataclass(frozen=True, slots=True)
class FileCompletion:
    """What the file holds, what follows it, and the tick of the bar line between them."""

    heard: Phrase
    continuation: Phrase
    start_tick: int


def complete_file(
    model: MusicModel[Any],
    in_path: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    bars: int,
    sampling: Sampling | None = None,
    seed: int = 0,
    *,
    start: Start[Any] | None = None,
    context_bars: int | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> FileCompletion:
    """Write a copy of a MIDI file with `bars` bars more, in the meter and tempo of its last bar.

    The file's own events stay as they are, to the byte; the continuation is a track of its own
    from the next bar line on. `start`: where to begin (None: in the model's own state).
    `context_bars`: so many of its last bars are heard, 1 or more (None: all). `reading`: what the
    file holds, where it was read already. `progress` is called after each bar that was heard or
    made. Raises MidiFileError; then nothing has been written.
    """
    check_output(in_path, out_path)
    data = read_bytes(in_path)
    try:
        reading = reading or parse_midi(data)
        heard = with_ringing_bars(reading.phrase)
        if not heard:
            raise MidiFileError("no notes to continue")
        ringing = sum(bar.meter.steps for bar in heard[len(reading.phrase) :])
        tpq = reading.report.ticks_per_beat
        start_tick = reading.report.end_tick + ringing * tpq // STEPS_PER_BEAT
        context = heard if context_bars is None else heard[-context_bars:]
        continuation = continue_phrase(model, context, bars, sampling, seed, progress, start)
        written = append_track(data, continuation, start_tick, TRACK_NAME)
    except MidiFileError as error:
        raise MidiFileError(f"{in_path}: {error}") from None
    write_atomically(out_path, written)
    return FileCompletion(heard, continuation, start_tick)


def check_output(in_path: str | os.PathLike[str], out_path: str | os.PathLike[str]) -> None:
    """Raises MidiFileError for an output that is the input, or whose folder is not there."""
    same = os.path.exists(in_path) and os.path.exists(out_path)
    if os.path.realpath(in_path) == os.path.realpath(out_path) or (
        same and os.path.samefile(in_path, out_path)
    ):
        raise MidiFileError(f"{out_path}: would overwrite the input; name another file")
    folder = os.path.dirname(os.path.abspath(out_path))
    if not os.path.isdir(folder):
        raise MidiFileError(f"{out_path}: there is no folder {folder}")


def continue_phrase(
    model: MusicModel[Any],
    heard: Phrase,
    bars: int,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    start: Start[Any] | None = None,
) -> Phrase:
    """Exactly `bars` bars that follow a phrase of one bar or more; a note starts in the first of
    them, and none sounds beyond the last. They are as they sound: a key struck again ends its
    earlier note. The same seed gives the same bars. `start`: where it begins before the phrase
    (None: in the model's own state)."""
    last = heard[-1]
    steps = composing(model, heard, bars, last.meter, last.tempo_bpm, sampling, seed, start)
    while True:
        try:
            bar_is_done = next(steps)
        except StopIteration as end:
            made: Phrase = end.value
            return made
        if bar_is_done and progress is not None:
            progress()


def with_ringing_bars(phrase: Phrase) -> Phrase:
    """The phrase and, as bars without onsets, those that a last long note sounds all through."""
    starts = [0]
    for bar in phrase:
        starts.append(starts[-1] + bar.meter.steps)
    ends = (start + n.end for start, bar in zip(starts, phrase, strict=False) for n in bar.notes)
    beyond = max(ends, default=0) - starts[-1]
    if beyond <= 0:
        return phrase
    empty = replace(phrase[-1], notes=())
    return phrase + (empty,) * (beyond // empty.meter.steps)
