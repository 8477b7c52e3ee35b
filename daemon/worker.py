"""The model's side of the conversation, without its process: messages in, messages out.

It knows no clock. How far it may generate is what io allows; it may be cancelled between notes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rwkv_music.continuation import CompletionRequest, Revision
from rwkv_music.errors import RwkvMusicError, WorkerError
from rwkv_music.keys import heard_tonic, name_of
from rwkv_music.memory import load_memory, save_memory
from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import Meter, Note
from rwkv_music.sampling import Sampling
from rwkv_music.session import HeardNote, Session, Start
from rwkv_music.takes import Takes

from .messages import (
    Allow,
    Cancel,
    Compose,
    ComposeNotes,
    Dismiss,
    Failed,
    Forget,
    Generate,
    Generated,
    Header,
    Hear,
    InKey,
    Memory,
    Message,
    Place,
    Proposed,
    Regenerate,
    Replay,
    Revise,
    Unhear,
)
from .offline import Offline, sampling_of

_PERFORMING = (Generate, Regenerate, Replay, Revise, Header, Allow)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Offer:
    """The takes of one request, and what io knows: which of them are complete, and their key in
    `key auto`. heard: how long each pitch class sounded before them."""

    request: int
    takes: Takes[Any]
    heard: tuple[float, ...]
    reported: set[int] = field(default_factory=set)
    told_key: tuple[str, str] | None = None


@dataclass(slots=True)
class _Performance:
    """A take that is being proposed: `told` of its notes have been. It lasts until it is cancelled
    or two others have come, as it may still be revised when it is complete."""

    request: int
    offer: _Offer
    take: int
    until: Place
    edition: int  # how often it was revised, or asked for anew
    told: int = 0
    complete: bool = False  # and io knows it


class Worker:
    """Hears bars and continues them, from `start` on. `send` takes each answer. One thread."""

    def __init__(
        self,
        model: MusicModel[Any],
        send: Callable[[Message], None],
        start: Start[Any] | None = None,
    ) -> None:
        self._model = model
        self._send = send
        self.session: Session[Any] = Session(model, start)
        self._offer: _Offer | None = None  # what there is to choose from
        self._performances: list[_Performance] = []  # what plays, and what will follow it
        self._offline = Offline(model)
        self._told: deque[Message] = deque()

    def handle(self, messages: Sequence[Message]) -> None:
        """Take a batch of messages and do what they ask."""
        self.tell(messages)
        while self.hear_next():
            pass

    def tell(self, messages: Sequence[Message]) -> None:
        """Take a batch of messages; of several that tell the same bar, the last counts."""
        self._told.extend(_settled(messages))

    def hear_next(self) -> bool:
        """Do what the next message asks; false when there is none. One at a time: a slow engine
        needs long for 16 bars, and whoever wants to know whether it is alive must not wait."""
        if not self._told:
            return False
        message = self._told.popleft()
        try:
            self._handle(message)
        except RwkvMusicError as error:
            if isinstance(message, _PERFORMING):  # a bar that cannot be heard ends nothing
                self._leave(message.request)
            self._send(Failed(500, str(error), getattr(message, "request", -1)))
        return True

    def work(self) -> bool:
        """Propose a note, or compute one step; whether there may be more to do at once. What is
        composed offline waits for the live music."""
        return self.perform() or self.compose()

    @property
    def composes(self) -> bool:
        """Whether anything is to be composed offline."""
        return bool(self._offline)

    def compose(self) -> bool:
        """Compute a step of what is composed offline; whether there was one."""
        if not self._offline:
            return False
        answer = self._offline.step()
        if answer is not None:
            self._send(answer)
        return True

    def perform(self) -> bool:
        """Propose a note of the live music, or compute one step of it; whether there may be more to
        do at once. What plays goes before what follows it, in time and here."""
        return any(self._go_on(performance) for performance in tuple(self._performances))

    def _go_on(self, performance: _Performance) -> bool:
        if _is_told(performance) and performance is not self._performances[-1]:
            self._report(performance)
            return False  # its other takes are nobody's choice any more
        if self._propose(performance):
            return True
        try:
            progress = performance.offer.takes.advance(performance.until)
        except RwkvMusicError as error:
            self._leave(performance.request)
            self._send(Failed(500, str(error), performance.request))
            return False
        if not progress:
            self._report(performance)
        self._propose(performance)
        return progress

    def _propose(self, performance: _Performance) -> bool:
        """Send the next note of the take that plays, if it is made and allowed."""
        made = performance.offer.takes.takes[performance.take].notes
        if performance.told == len(made):
            return False
        proposed = made[performance.told]
        if proposed.place >= performance.until:
            return False
        performance.told += 1
        note = proposed.note
        values = (note.onset, note.pitch, note.velocity, note.duration)
        self._send(Proposed(performance.request, proposed.bar, values, performance.edition))
        return True

    def _report(self, performance: _Performance) -> None:
        """Tell which takes have become complete; of another request's, the one that plays."""
        offer = performance.offer
        for number, take in enumerate(offer.takes.takes):
            if take.finished and number not in offer.reported:
                offer.reported.add(number)
                self._tell_complete(offer.request, number, offer.takes, performance.edition)
        if _is_told(performance):
            if performance.request != offer.request and not performance.complete:
                self._tell_complete(
                    performance.request, performance.take, offer.takes, performance.edition
                )
            performance.complete = True

    def _tell_complete(self, request: int, number: int, takes: Takes[Any], edition: int) -> None:
        take = takes.takes[number]
        continuation = take.continuation
        bars, seed = continuation.bars, continuation.seed
        self._send(Generated(request, number, bars, len(take.notes), seed, edition))
        if continuation.broken:
            counts = ", ".join(
                f"{name} {times} times" for name, times in continuation.broken.items()
            )
            log.info("request %d, take %d: gave way: %s", request, number, counts)

    def _handle(self, message: Message) -> None:
        match message:
            case Hear():
                self._hear(message)
            case Unhear(bars):
                self.session.unhear(bars)
            case Generate():
                self._generate(message)
            case Regenerate(request, seeds, until, let_ring, wishes, edition):
                last, sampling = self._last_offer(), sampling_of(wishes)
                again = last.takes.again(seeds, sampling, let_ring)
                self._make(_Offer(request, again, last.heard), sampling, until, edition)
            case Replay(request, take, until, edition):
                self._begin(_Performance(request, self._last_offer(), take, until, edition))
            case Revise():
                self._revise(message)
            case Header(request, bar, meter, tempo_bpm):
                performance = self._performance(request)
                if performance is not None:
                    performance.offer.takes.set_header(bar, Meter.parse(meter), tempo_bpm)
            case Allow(request, until):
                performance = self._performance(request)
                if performance is not None:
                    performance.until = until
            case Cancel(request):
                self._leave(request)
            case ComposeNotes():
                self._offline.take_notes(message)
            case Compose():
                self._offline.begin(message, self.session.beginning)
            case Dismiss(job):
                self._offline.dismiss(job)
            case Memory():
                self._remember(message)
            case Forget():
                self._forget_takes()
                self.session.reset()

    def _hear(self, message: Hear) -> None:
        notes = [HeardNote(Note(*values), held) for *values, held in message.notes]
        meter = Meter.parse(message.meter)
        self.session.hear(message.bar, meter, message.tempo_bpm, notes, closed=message.closed)

    def _generate(self, message: Generate) -> None:
        sampling, heard = sampling_of(message.wishes), self.session.heard_weights()
        request = CompletionRequest(
            bars=message.bars,
            meter=Meter.parse(message.meter),
            tempo_bpm=message.tempo_bpm,
            sampling=sampling,
            first_step=message.first_step,
            opened=self.session.is_open(message.bar),
            after=self.session.last_note(message.bar),
            let_ring=message.let_ring,
            heard=heard,
        )
        takes = Takes(self._model, self.session.fork(), request, message.seeds)
        offer = _Offer(message.request, takes, heard)
        self._make(offer, sampling, message.until, message.edition)

    def _make(self, offer: _Offer, sampling: Sampling, until: Place, edition: int) -> None:
        self._offer = offer
        self._tell_key(offer.request, offer, sampling)
        self._begin(_Performance(offer.request, offer, 0, until, edition))

    def _begin(self, performance: _Performance) -> None:
        self._performances = [*self._performances[-1:], performance]

    def _tell_key(self, request: int, offer: _Offer, sampling: Sampling) -> None:
        """Say which key `key auto` is, if it is news."""
        told = None
        if sampling.key == "auto":
            told = name_of(heard_tonic(offer.heard, sampling.scale)), sampling.scale
        if told is not None and told != offer.told_key:
            self._send(InKey(request, *told))
        offer.told_key = told

    def _performance(self, request: int) -> _Performance | None:
        return next((p for p in self._performances if p.request == request), None)

    def _leave(self, request: int) -> None:
        self._performances = [p for p in self._performances if p.request != request]

    def _forget_takes(self) -> None:
        self._offer = None
        self._performances.clear()

    def _revise(self, message: Revise) -> None:
        performance = self._performance(message.request)
        if performance is None:
            return
        offer = performance.offer
        for other in self._performances:
            if other.offer is offer and other is not performance:  # it plays to its end as it was
                while self._go_on(other):
                    pass
                self._leave(other.request)
        sampling = sampling_of(message.wishes)
        self._tell_key(message.request, offer, sampling)
        offer.takes.revise(Revision(message.bar, message.step, sampling, message.let_ring))
        performance.edition, performance.complete = message.edition, False
        performance.told = min(performance.told, len(offer.takes.takes[performance.take].notes))
        offer.reported = {n for n in offer.reported if offer.takes.takes[n].finished}

    def _remember(self, message: Memory) -> None:
        path = Path(message.path)
        try:
            if message.save:
                weights = self.session.bar_weights()
                save_memory(path, self._model, self.session.fork(), bar_weights=weights)
            else:
                self.session.reset(load_memory(path, self._model))
                self._forget_takes()
        except RwkvMusicError as error:
            message = replace(message, error=str(error))
        self._send(message)

    def _last_offer(self) -> _Offer:
        if self._offer is None:
            raise WorkerError("the takes are gone: the model was started again since")
        return self._offer


def _is_told(performance: _Performance) -> bool:
    """Whether io has been sent every note of it."""
    take = performance.offer.takes.takes[performance.take]
    return take.finished and performance.told == len(take.notes)


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
