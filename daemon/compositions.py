"""Offline work for clip scripts: notes come in pieces, and so the continuation goes. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rwkv_music.music import Meter

from .messages import Compose, Composed, ComposeNotes, Dismiss
from .osc.arguments import OscError
from .osc.requests import MOST_CLIP_NOTES, MOST_COMPOSE_NOTES
from .osc.subscribers import Address
from .parameters import Generation

MOST_AT_ONCE = 16
NOTES_PER_MESSAGE = 60

BeatNote = tuple[float, int, int, float]


@dataclass(slots=True)
class _Composition:
    tempo_bpm: float
    meter: Meter
    notes: dict[int, BeatNote] = field(default_factory=dict)
    sender: Address = ("", 0)  # who asked for the continuation
    job: int | None = None  # what the worker does for it

    @property
    def running(self) -> bool:
        return self.job is not None


class Compositions:
    """By the caller's id. Beginning an id again forgets what it had, running it again what it was
    to be; when there are too many, the oldest that does not run makes room."""

    def __init__(self) -> None:
        self._compositions: dict[str, _Composition] = {}
        self._jobs = 0
        # For the worker, one now and then.
        self.pieces: deque[ComposeNotes | Compose | Dismiss] = deque()

    def begin(self, ident: str, tempo_bpm: float, numerator: int, denominator: int) -> None:
        """Raises OscError 409 when too many run."""
        self._leave_job(self._compositions.pop(ident, None))
        if len(self._compositions) >= MOST_AT_ONCE:
            waiting = [i for i, c in self._compositions.items() if not c.running]
            if not waiting:
                raise OscError(409, f"busy with {MOST_AT_ONCE} compositions; try again later")
            del self._compositions[waiting[0]]
        meter = Meter(numerator, denominator)
        self._compositions[ident] = _Composition(tempo_bpm, meter)

    def add(self, ident: str, first: int, values: tuple[Any, ...]) -> None:
        """Notes of the context, numbered from `first`; sent again, they count once."""
        composition = self._find(ident)
        if first + len(values) // 4 > MOST_CLIP_NOTES:
            raise OscError(422, f"notes: expected at most {MOST_CLIP_NOTES} of them")
        for offset in range(0, len(values), 4):
            beat, pitch, velocity, beats = values[offset : offset + 4]
            composition.notes[first + offset // 4] = beat, pitch, velocity, beats

    def run(
        self,
        sender: Address,
        ident: str,
        notes: int,
        bars: int,
        seed: int,
        wishes: Generation,
    ) -> None:
        """Tell the worker, by `pieces`; `sender` gets the answer, whoever sent the notes. Raises
        OscError 412 when notes are missing."""
        composition = self._find(ident)
        missing = [number for number in range(notes) if number not in composition.notes]
        if missing:
            raise OscError(
                412, f"{len(missing)} of {notes} notes are missing, the first is {missing[0]}"
            )
        self._leave_job(composition)
        self._jobs += 1
        composition.job, composition.sender = self._jobs, sender
        for first in range(0, notes, NOTES_PER_MESSAGE):
            numbers = range(first, min(first + NOTES_PER_MESSAGE, notes))
            some = tuple(composition.notes[number] for number in numbers)
            self.pieces.append(ComposeNotes(composition.job, some))
        meter, tempo_bpm = str(composition.meter), composition.tempo_bpm
        self.pieces.append(Compose(composition.job, meter, tempo_bpm, bars, seed, asdict(wishes)))

    def finish(self, answer: Composed) -> Iterator[tuple[Address, str, tuple[Any, ...]]]:
        """The messages that answer the caller; none to what was begun again since."""
        ident = next((i for i, c in self._compositions.items() if c.job == answer.job), None)
        if ident is None:
            return
        sender = self._compositions.pop(ident).sender
        if answer.error:
            yield sender, "/rwkv/error", (500, answer.error, "/rwkv/compose/run")
            return
        for first in range(0, len(answer.notes), MOST_COMPOSE_NOTES):
            piece = answer.notes[first : first + MOST_COMPOSE_NOTES]
            values = [value for note in piece for value in note]
            yield sender, "/rwkv/compose/result", (ident, first, *values)
        yield sender, "/rwkv/compose/done", (ident, len(answer.notes), answer.seed)

    @property
    def running(self) -> bool:
        """Whether the worker is composing."""
        return any(composition.running for composition in self._compositions.values())

    def fail_running(self, reason: str) -> Iterator[tuple[Address, str, tuple[Any, ...]]]:
        """The worker is gone, and with it what it was doing."""
        self.pieces.clear()
        running: Mapping[str, _Composition] = {
            ident: c for ident, c in self._compositions.items() if c.running
        }
        for ident, composition in running.items():
            del self._compositions[ident]
            yield composition.sender, "/rwkv/error", (500, reason, "/rwkv/compose/run")

    def _leave_job(self, composition: _Composition | None) -> None:
        """Let the worker leave what it does for a composition that is begun or run again."""
        if composition is None or composition.job is None:
            return
        job = composition.job
        self.pieces = deque(piece for piece in self.pieces if piece.job != job)
        self.pieces.append(Dismiss(job))

    def _find(self, ident: str) -> _Composition:
        if ident not in self._compositions:
            raise OscError(404, f"id: {ident!r} was not begun; send /rwkv/compose/begin first")
        return self._compositions[ident]
