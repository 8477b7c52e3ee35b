"""Notes on their way through the service: `compose`, as a state machine without a socket."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

from . import constants
from .osc import Message

_ADDRESSES = (constants.COMPOSE_BEGIN, constants.COMPOSE_NOTES, constants.COMPOSE_RUN)
_INCOMPLETE = 412
_MOST_TRIES = 3
_PATIENCE_S = 60.0  # without a word; a large model takes its time


class Note(NamedTuple):
    """Beats are quarters, counted from the beginning of the clip."""

    beat: float
    pitch: int
    velocity: int
    beats: float


class Context(NamedTuple):
    """What is to be continued, and by how many bars."""

    notes: Sequence[Note]
    tempo: float
    numerator: int
    denominator: int
    bars: int

    @property
    def bar_beats(self) -> float:
        return self.numerator * 4.0 / self.denominator


class Continuation:
    """One request. `notes` is what came back, `error` what went wrong; both None until then."""

    def __init__(
        self, name: str, context: Context, send: Callable[..., None], now_s: float
    ) -> None:
        self.notes: list[Note] | None = None
        self.error: str | None = None
        self._name = name
        self._context = context
        self._send = send
        self._heard_s = now_s
        self._tries = 0
        self._found: dict[int, Note] = {}
        self._ask()

    @property
    def is_over(self) -> bool:
        return self.notes is not None or self.error is not None

    def hear(self, message: Message, now_s: float) -> bool:
        """Take a message of the service; false when it is not about this request."""
        address, args = message
        if address == constants.ERROR:
            if self.is_over or args[2:3] == () or args[2] not in _ADDRESSES:
                return False
            self._refused(*args[:2])
        elif address in (constants.COMPOSE_RESULT, constants.COMPOSE_DONE):
            if args[:1] != (self._name,):
                return False
            if address == constants.COMPOSE_RESULT:
                self._keep(args[1], args[2:])
            elif not self.is_over:
                self._done(*args[1:3])
        else:
            return False
        self._heard_s = now_s
        return True

    def tick(self, now_s: float) -> None:
        """Give up when nothing has come for long."""
        if not self.is_over and now_s - self._heard_s > _PATIENCE_S:
            self.error = f"no answer within {_PATIENCE_S:.0f} s"

    def _ask(self, *seed: int) -> None:
        self._tries += 1
        self._found = {}
        context, notes = self._context, self._context.notes
        meter = context.numerator, context.denominator
        self._send(constants.COMPOSE_BEGIN, self._name, context.tempo, *meter)
        for first in range(0, len(notes), constants.MOST_COMPOSE_NOTES):
            some = notes[first : first + constants.MOST_COMPOSE_NOTES]
            values = [value for note in some for value in note]
            self._send(constants.COMPOSE_NOTES, self._name, first, *values)
        self._send(constants.COMPOSE_RUN, self._name, len(notes), context.bars, *seed)

    def _refused(self, code: int, text: str) -> None:
        if code == _INCOMPLETE and self._tries < _MOST_TRIES:
            self._ask()
        else:
            self.error = f"{text} ({code})"

    def _keep(self, first: int, values: Sequence[Any]) -> None:
        for number in range(len(values) // 4):
            self._found[first + number] = Note(*values[4 * number : 4 * number + 4])

    def _done(self, count: int, seed: int) -> None:
        if all(number in self._found for number in range(count)):
            found = [self._found[number] for number in range(count)]
            self.notes = from_its_first_bar(found, self._context.bar_beats)
        elif self._tries < _MOST_TRIES:
            self._ask(seed)  # the same seed makes the same notes
        else:
            self.error = f"notes were lost on the way: {len(self._found)} of {count} came"


def from_its_first_bar(notes: Sequence[Note], bar_beats: float) -> list[Note]:
    """The notes of a completion, counted from its own beginning.

    A completion has a note in its first bar, so the bar of the earliest one is where it begins,
    wherever its beats were counted from.
    """
    if not notes:
        return []
    start = min(note.beat for note in notes) // bar_beats * bar_beats
    return [note._replace(beat=note.beat - start) for note in notes]
