"""What the worker composes offline, a little at a time, from notes that come in portions. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rwkv_music.composing import BeatNote, bars_of_notes, composing, notes_of_bars
from rwkv_music.errors import RwkvMusicError
from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import Meter
from rwkv_music.sampling import Sampling
from rwkv_music.session import Start

from .messages import Compose, Composed, ComposeNotes

_SAMPLING = tuple(f.name for f in fields(Sampling))


class Offline:
    """Compositions in the order in which they were asked for, each in a session of its own."""

    def __init__(self, model: MusicModel[Any]) -> None:
        self._model = model
        self._jobs: deque[_Job] = deque()
        self._notes: dict[int, list[BeatNote]] = {}  # of the jobs to come

    def __bool__(self) -> bool:
        """Whether anything is to be composed."""
        return bool(self._jobs)

    def take_notes(self, message: ComposeNotes) -> None:
        """Some of what a composition is to follow."""
        self._notes.setdefault(message.job, []).extend(message.notes)

    def begin(self, message: Compose, start: Start[Any] | None) -> None:
        """All its notes have come; they follow `start` (None: the model's own state). Raises
        RwkvMusicError."""
        notes = self._notes.pop(message.job, [])
        self._jobs.append(_Job(self._model, message, notes, start))

    def dismiss(self, job: int) -> None:
        """Leave a composition as it is."""
        self._notes.pop(job, None)
        self._jobs = deque(kept for kept in self._jobs if kept.number != job)

    def step(self) -> Composed | None:
        """Compute a step of the first one; the answer when it is done, or cannot be."""
        job = self._jobs[0]
        try:
            answer = job.step()
        except RwkvMusicError as error:
            answer = Composed(job.number, (), job.seed, str(error))
        if answer is not None:
            self._jobs.popleft()
        return answer


class _Job:
    """A composition under way."""

    def __init__(
        self,
        model: MusicModel[Any],
        message: Compose,
        notes: Sequence[BeatNote],
        start: Start[Any] | None,
    ) -> None:
        self.number, self.seed = message.job, message.seed
        meter = Meter.parse(message.meter)
        heard = bars_of_notes(notes, meter, message.tempo_bpm)
        self._start_bar = len(heard)
        self._steps = composing(
            model,
            heard,
            message.bars,
            meter,
            message.tempo_bpm,
            sampling_of(message.wishes),
            message.seed,
            start,
        )

    def step(self) -> Composed | None:
        """Do a little; the answer when it is done. Raises RwkvMusicError."""
        try:
            next(self._steps)
        except StopIteration as end:
            notes = notes_of_bars(end.value, self._start_bar)
            return Composed(self.number, notes, self.seed)
        return None


def sampling_of(wishes: dict[str, Any]) -> Sampling:
    """Those of a message's parameters by which notes are drawn."""
    return Sampling(**{name: wishes[name] for name in _SAMPLING})
