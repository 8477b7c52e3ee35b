"""Continuing a phrase offline, a little at a time, so that other work can go on in between."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from .continuation import CompletionRequest, Continuation
from .model.protocol import MusicModel
from .music import (
    HIGHEST_PITCH,
    LONGEST_STEPS,
    LOWEST_PITCH,
    STEPS_PER_BEAT,
    Bar,
    Meter,
    Note,
    Phrase,
    cut_overlaps,
)
from .sampling import Sampling
from .session import HeardNote, Session, Start
from .tempo import tempo_class, tempo_of_class
from .timebase import beats_to_steps, steps_to_beats

BeatNote = tuple[float, int, int, float]  # beat, pitch, velocity, beats


def composing(
    model: MusicModel[Any],
    heard: Phrase,
    bars: int,
    meter: Meter,
    tempo_bpm: float,
    sampling: Sampling | None = None,
    seed: int = 0,
    start: Start[Any] | None = None,
) -> Generator[bool, None, Phrase]:
    """Exactly `bars` bars of `meter` that follow `heard`; a note starts in the first of them, and
    none sounds beyond the last. They are as they sound: a key struck again ends its earlier note.
    The same seed gives the same bars. `start`: where it begins before `heard`, in the model's
    own state where there is none.

    Each `next` hears a bar or computes a step; it yields whether a bar is done with it. The bars
    are what the generator returns.
    """
    session = Session(model, start)
    for number, bar in enumerate(heard):
        notes = map(HeardNote, bar.notes)
        session.hear(number, bar.meter, bar.tempo_bpm, notes, closed=True)
        yield True
    request = CompletionRequest(
        bars, meter, tempo_bpm, sampling or Sampling(), heard=session.heard_weights()
    )
    continuation = Continuation(model, session.fork(), request, seed)
    notes_of_bars: list[list[Note]] = [[] for _ in range(bars)]
    end = bars, 0
    while not continuation.finished:
        bar_before = continuation.bar
        proposal = continuation.wants(end)
        if proposal is not None:
            model.advance([proposal])
        made = continuation.take(end)
        if made is not None:
            notes_of_bars[made.bar].append(made.note)
        yield continuation.bar > bar_before
    return cut_overlaps(Bar(meter, tempo_bpm, tuple(notes)) for notes in notes_of_bars)


def bars_of_notes(notes: Iterable[BeatNote], meter: Meter, tempo_bpm: float) -> Phrase:
    """Notes at beats from a first bar line, as bars of one meter up to that of the last onset.

    Onsets go to the nearest step; pitches off the piano are left out, and a key that is struck
    again ends its earlier note.
    """
    placed: dict[int, list[Note]] = {}
    for beat, pitch, velocity, beats in notes:
        if LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            number, onset = divmod(beats_to_steps(beat), meter.steps)
            steps = min(max(beats_to_steps(beats), 1), LONGEST_STEPS)
            placed.setdefault(number, []).append(Note(onset, pitch, velocity, steps))
    tempo = tempo_of_class(tempo_class(tempo_bpm))
    last = max(placed, default=-1)
    return cut_overlaps(Bar(meter, tempo, tuple(placed.get(n, ()))) for n in range(last + 1))


def notes_of_bars(bars: Phrase, start_bar: int) -> tuple[BeatNote, ...]:
    """The notes of bars of one meter, at beats from the line of bar 0, when the first of them is
    bar `start_bar`."""
    return tuple(
        (
            steps_to_beats((start_bar + number) * bar.meter.steps + note.onset),
            note.pitch,
            note.velocity,
            note.duration / STEPS_PER_BEAT,
        )
        for number, bar in enumerate(bars)
        for note in bar.notes
    )
