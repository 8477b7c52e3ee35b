"""The model's side of the conversation, without its process: messages in, messages out.

It knows no clock. How far it may generate is what io allows; it may be cancelled between notes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from rwkv_music.continuation import Continuation
from rwkv_music.errors import RwkvMusicError
from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import Meter, Note
from rwkv_music.sampling import Sampling
from rwkv_music.session import HeardNote, Session

from .messages import (
    Allow,
    Cancel,
    Failed,
    Forget,
    Generate,
    Generated,
    Hear,
    Message,
    Proposed,
    Unhear,
)

_SAMPLING = tuple(f.name for f in fields(Sampling))


class Worker:
    """Hears bars and continues them. `send` takes each answer. One thread."""

    def __init__(self, model: MusicModel[Any], send: Callable[[Message], None]) -> None:
        self._model = model
        self._send = send
        self.session: Session[Any] = Session(model)
        self._request = -1
        self._seed = 0
        self._until_steps = 0
        self._notes = 0
        self._continuation: Continuation[Any] | None = None

    def handle(self, messages: Sequence[Message]) -> None:
        """Take a batch of messages in order; of several that tell the same bar, the last counts."""
        for index, message in enumerate(messages):
            if isinstance(message, Hear) and _is_outdated(message, messages[index + 1 :]):
                continue
            self._handle(message)

    def work(self) -> bool:
        """Generate at most one note; whether there may be more to do at once."""
        if self._continuation is None:
            return False
        try:
            proposed = self._continuation.next_note(self._until_steps)
        except RwkvMusicError as error:
            self._fail(error)
            return False
        if proposed is not None:
            note = proposed.note
            self._notes += 1
            values = (note.onset, note.pitch, note.velocity, note.duration)
            self._send(Proposed(self._request, proposed.bar, values))
            return True
        if self._continuation.finished:
            bars = self._continuation.bars
            self._continuation = None
            self._send(Generated(self._request, bars, self._notes, self._seed))
        return False

    def _handle(self, message: Message) -> None:
        match message:
            case Hear():
                try:
                    self._hear(message)
                except RwkvMusicError as error:
                    self._send(Failed(500, str(error)))
            case Unhear():
                self.session.unhear(message.bars)
            case Generate():
                try:
                    self._generate(message)
                except RwkvMusicError as error:
                    self._request = message.request
                    self._fail(error)
            case Allow() if message.request == self._request and self._continuation is not None:
                self._until_steps = message.until_steps
                self._continuation.set_header(Meter.parse(message.meter), message.tempo_bpm)
            case Cancel() if message.request == self._request:
                self._continuation = None
            case Forget():
                self._continuation = None
                self.session.reset()

    def _hear(self, message: Hear) -> None:
        notes = [HeardNote(Note(*values), held) for *values, held in message.notes]
        meter = Meter.parse(message.meter)
        self.session.hear(message.bar, meter, message.tempo_bpm, notes, closed=message.closed)

    def _generate(self, message: Generate) -> None:
        opened = self.session.is_open(message.bar)
        self._request, self._seed, self._notes = message.request, message.seed, 0
        self._until_steps = message.until_steps
        self._continuation = Continuation(
            self._model,
            self.session.fork(),
            bars=message.bars,
            meter=Meter.parse(message.meter),
            tempo_bpm=message.tempo_bpm,
            sampling=Sampling(**{name: message.wishes[name] for name in _SAMPLING}),
            seed=message.seed,
            first_step=message.first_step,
            opened=opened,
            after=self.session.last_note(message.bar),
            let_ring=message.let_ring,
            heard=self.session.heard_weights(),
        )

    def _fail(self, error: RwkvMusicError) -> None:
        self._continuation = None
        self._send(Failed(500, str(error), self._request))


def _is_outdated(message: Hear, later: Sequence[Message]) -> bool:
    """Whether the same bar is told again before anything is asked."""
    for other in later:
        if isinstance(other, (Generate, Forget, Unhear)):
            return False
        if isinstance(other, Hear) and other.bar == message.bar:
            return True
    return False
