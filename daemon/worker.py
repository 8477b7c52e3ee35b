"""The model's side of the conversation, without its process: messages in, messages out.

It knows no clock. How far it may generate is what io allows; it may be cancelled between notes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rwkv_music.composing import bars_of_notes, composing, notes_of_bars
from rwkv_music.continuation import CompletionRequest, Revision
from rwkv_music.errors import RwkvMusicError, WorkerError
from rwkv_music.memory import load_memory, save_memory
from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import Meter, Note
from rwkv_music.sampling import Sampling
from rwkv_music.session import HeardNote, Session
from rwkv_music.takes import Takes

from .messages import (
    Allow,
    Cancel,
    Compose,
    Composed,
    Failed,
    Forget,
    Generate,
    Generated,
    Hear,
    Memory,
    Message,
    Proposed,
    Regenerate,
    Replay,
    Revise,
    Unhear,
)

_PERFORMING = (Generate, Regenerate, Replay, Revise, Allow)
_SAMPLING = tuple(f.name for f in fields(Sampling))

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Performance:
    """A take that is being proposed: `told` of its notes have been. It lasts until it is cancelled
    or another takes its place, as it may still be revised when it is complete."""

    request: int
    take: int
    until_steps: int
    edition: int = 0  # how often it was revised
    told: int = 0
    complete: bool = False  # and io knows it


class _Job:
    """A composition under way."""

    def __init__(self, model: MusicModel[Any], message: Compose) -> None:
        self.ident, self.seed = message.ident, message.seed
        meter = Meter.parse(message.meter)
        heard = bars_of_notes(message.notes, meter, message.tempo_bpm)
        self._start_bar = len(heard)
        self._steps = composing(
            model,
            heard,
            message.bars,
            meter,
            message.tempo_bpm,
            _sampling(message.wishes),
            message.seed,
        )

    def step(self) -> Composed | None:
        """Do a little; the answer when it is done. Raises RwkvMusicError."""
        try:
            next(self._steps)
        except StopIteration as end:
            notes = notes_of_bars(end.value, self._start_bar)
            return Composed(self.ident, notes, self.seed)
        return None


class Worker:
    """Hears bars and continues them, from the state `start` on. `send` takes each answer. One
    thread."""

    def __init__(
        self, model: MusicModel[Any], send: Callable[[Message], None], start: Any = None
    ) -> None:
        self._model = model
        self._send = send
        self.session: Session[Any] = Session(model, start)
        self._takes: Takes[Any] | None = None
        self._takes_request = -1
        self._reported: set[int] = set()  # takes that io knows to be complete
        self._performance: _Performance | None = None
        self._jobs: deque[_Job] = deque()

    def handle(self, messages: Sequence[Message]) -> None:
        """Take a batch of messages in order; of several that tell the same bar, the last counts."""
        for message in _settled(messages):
            try:
                self._handle(message)
            except RwkvMusicError as error:
                if isinstance(message, _PERFORMING):  # a bar that cannot be heard ends nothing
                    self._performance = None
                self._send(Failed(500, str(error), getattr(message, "request", -1)))

    def work(self) -> bool:
        """Propose a note, or compute one step; whether there may be more to do at once. What is
        composed offline waits for the live music."""
        return self._perform() or self._compose()

    def _compose(self) -> bool:
        if not self._jobs:
            return False
        job = self._jobs[0]
        try:
            answer = job.step()
        except RwkvMusicError as error:
            answer = Composed(job.ident, (), job.seed, str(error))
        if answer is not None:
            self._jobs.popleft()
            self._send(answer)
        return True

    def _perform(self) -> bool:
        performance, takes = self._performance, self._takes
        if performance is None or takes is None:
            return False
        if self._propose(performance, takes):
            return True
        try:
            progress = takes.advance(performance.until_steps)
        except RwkvMusicError as error:
            self._performance = None
            self._send(Failed(500, str(error), performance.request))
            return False
        if not progress:
            self._report(performance, takes)
        self._propose(performance, takes)
        return progress

    def _propose(self, performance: _Performance, takes: Takes[Any]) -> bool:
        """Send the next note of the take that plays, if it is made and allowed."""
        made = takes.takes[performance.take].notes
        if performance.told == len(made):
            return False
        proposed = made[performance.told]
        if proposed.start_step >= performance.until_steps:
            return False
        performance.told += 1
        note = proposed.note
        values = (note.onset, note.pitch, note.velocity, note.duration)
        self._send(Proposed(performance.request, proposed.bar, values, performance.edition))
        return True

    def _report(self, performance: _Performance, takes: Takes[Any]) -> None:
        """Tell which takes have become complete; of another request's, the one that plays."""
        for number, take in enumerate(takes.takes):
            if take.finished and number not in self._reported:
                self._reported.add(number)
                self._tell_complete(self._takes_request, number, takes, performance.edition)
        playing = takes.takes[performance.take]
        if playing.finished and performance.told == len(playing.notes):
            if performance.request != self._takes_request and not performance.complete:
                self._tell_complete(
                    performance.request, performance.take, takes, performance.edition
                )
            performance.complete = True

    def _tell_complete(self, request: int, number: int, takes: Takes[Any], edition: int) -> None:
        take = takes.takes[number]
        continuation = take.continuation
        bars, seed = continuation.bars, continuation.seed
        self._send(Generated(request, number, bars, len(take.notes), seed, edition))
        if continuation.broken:
            log.info("request %d, take %d: gave way: %s", request, number, continuation.broken)

    def _handle(self, message: Message) -> None:
        match message:
            case Hear():
                self._hear(message)
            case Unhear(bars):
                self.session.unhear(bars)
            case Generate():
                self._generate(message)
            case Regenerate(request, seeds, until_steps, let_ring, wishes):
                again = self._last_takes().again(seeds, _sampling(wishes), let_ring)
                self._offer(request, again, until_steps)
            case Replay(request, take, until_steps):
                self._last_takes()
                self._performance = _Performance(request, take, until_steps)
            case Revise():
                self._revise(message)
            case Allow():
                self._allow(message)
            case Cancel(request):
                if self._performance is not None and self._performance.request == request:
                    self._performance = None
            case Compose():
                self._jobs.append(_Job(self._model, message))
            case Memory():
                self._remember(message)
            case Forget():
                self._performance = self._takes = None
                self.session.reset()

    def _hear(self, message: Hear) -> None:
        notes = [HeardNote(Note(*values), held) for *values, held in message.notes]
        meter = Meter.parse(message.meter)
        self.session.hear(message.bar, meter, message.tempo_bpm, notes, closed=message.closed)

    def _generate(self, message: Generate) -> None:
        request = CompletionRequest(
            bars=message.bars,
            meter=Meter.parse(message.meter),
            tempo_bpm=message.tempo_bpm,
            sampling=_sampling(message.wishes),
            first_step=message.first_step,
            opened=self.session.is_open(message.bar),
            after=self.session.last_note(message.bar),
            let_ring=message.let_ring,
            heard=self.session.heard_weights(),
        )
        takes = Takes(self._model, self.session.fork(), request, message.seeds)
        self._offer(message.request, takes, message.until_steps)

    def _offer(self, request: int, takes: Takes[Any], until_steps: int) -> None:
        self._takes, self._takes_request = takes, request
        self._reported.clear()
        self._performance = _Performance(request, 0, until_steps)

    def _allow(self, message: Allow) -> None:
        performance = self._performance
        if performance is None or self._takes is None or performance.request != message.request:
            return
        performance.until_steps = message.until_steps
        self._takes.set_header(Meter.parse(message.meter), message.tempo_bpm)

    def _revise(self, message: Revise) -> None:
        performance, takes = self._performance, self._takes
        if performance is None or takes is None or performance.request != message.request:
            return
        sampling = _sampling(message.wishes)
        takes.revise(Revision(message.bar, message.step, sampling, message.let_ring))
        performance.edition, performance.complete = message.edition, False
        performance.told = min(performance.told, len(takes.takes[performance.take].notes))
        self._reported = {n for n in self._reported if takes.takes[n].finished}

    def _remember(self, message: Memory) -> None:
        path = Path(message.path)
        try:
            if message.save:
                save_memory(path, self._model, self.session.fork())
            else:
                self.session.reset(load_memory(path, self._model))
                self._performance = self._takes = None
        except RwkvMusicError as error:
            message = replace(message, error=str(error))
        self._send(message)

    def _last_takes(self) -> Takes[Any]:
        if self._takes is None:
            raise WorkerError("the takes are gone: the model was started again since")
        return self._takes


def _sampling(wishes: dict[str, Any]) -> Sampling:
    return Sampling(**{name: wishes[name] for name in _SAMPLING})


def _settled(messages: Sequence[Message]) -> Iterator[Message]:
    """The messages, without what is told again before anything is asked of the state. The latest
    of a bar comes at the place of the first: a session hears new bars in ascending order only."""
    told: dict[int, Hear] = {}
    for message in messages:
        if isinstance(message, Hear):
            told[message.bar] = message
            continue
        if isinstance(message, (Generate, Forget, Unhear, Memory)):
            yield from told.values()
            told.clear()
        yield message
    yield from told.values()
