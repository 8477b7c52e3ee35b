"""A client's side of `compose`: notes to the running service, their continuation back."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rwkv_music.music import Meter

from .client import NoAnswerError, OscClient
from .encoding import Value
from .framing import Message
from .requests import MOST_COMPOSE_NOTES
from .table import OscError

_INCOMPLETE = 412
_MOST_TRIES = 3
_BEGIN, _NOTES, _RUN = (f"/rwkv/compose/{name}" for name in ("begin", "notes", "run"))


class ComposedNote(NamedTuple):
    """A note of a clip: beats are quarters, counted from the clip's beginning."""

    beat: float
    pitch: int
    velocity: int
    beats: float


@dataclass(frozen=True, slots=True)
class Context:
    """What is to be continued, and by how many bars."""

    notes: Sequence[ComposedNote]
    tempo_bpm: float
    meter: Meter
    bars: int
    seed: int | None = None


def compose(client: OscClient, context: Context, patience_s: float) -> list[ComposedNote]:
    """The continuation, counted from its own beginning.

    Datagrams that get lost are sent again. Raises OscError for what the service refuses, and
    NoAnswerError when nothing comes for so long, or keeps getting lost.
    """
    client.request("/rwkv/ping")
    seed = context.seed
    for _ in range(_MOST_TRIES):
        name = uuid.uuid4().hex
        _ask(client, name, context, seed)
        notes, count, seed = _answer(client, name, patience_s)
        if count is not None and all(number in notes for number in range(count)):
            found = [notes[number] for number in range(count)]
            return from_its_first_bar(found, context.meter.beats)
    raise NoAnswerError(f"parts of the request or of its answer were lost {_MOST_TRIES} times")


def from_its_first_bar(notes: Sequence[ComposedNote], bar_beats: float) -> list[ComposedNote]:
    """The same, counted from the beginning of the bar that the earliest note is in: a completion
    has a note in its first bar."""
    if not notes:
        return []
    start = min(note.beat for note in notes) // bar_beats * bar_beats
    return [note._replace(beat=note.beat - start) for note in notes]


def _ask(client: OscClient, name: str, context: Context, seed: int | None) -> None:
    meter = context.meter
    client.send(_BEGIN, name, context.tempo_bpm, meter.numerator, meter.denominator)
    for first in range(0, len(context.notes), MOST_COMPOSE_NOTES):
        some = context.notes[first : first + MOST_COMPOSE_NOTES]
        client.send(_NOTES, name, first, *(value for note in some for value in note))
    last: tuple[Value, ...] = () if seed is None else (seed,)
    client.send(_RUN, name, len(context.notes), context.bars, *last)


def _answer(
    client: OscClient, name: str, patience_s: float
) -> tuple[dict[int, ComposedNote], int | None, int | None]:
    """Notes by their numbers, how many there are, and the seed; no number when some of the
    context did not arrive."""
    notes: dict[int, ComposedNote] = {}
    deadline = time.monotonic() + patience_s
    while True:
        message = client.receive(max(deadline - time.monotonic(), 0))
        if message is None:
            raise NoAnswerError(f"the service has not answered within {patience_s:g} s")
        if message.address == "/rwkv/error" and message.args[2] in (_BEGIN, _NOTES, _RUN):
            if message.args[0] == _INCOMPLETE:
                return {}, None, None
            raise OscError(int(message.args[0]), str(message.args[1]))
        if message.args[:1] != (name,):
            continue
        deadline = time.monotonic() + patience_s
        if message.address == "/rwkv/compose/result":
            notes.update(_numbered(message))
        elif message.address == "/rwkv/compose/done":
            return notes, int(message.args[1]), int(message.args[2])


def _numbered(message: Message) -> dict[int, ComposedNote]:
    first, values = int(message.args[1]), message.args[2:]
    groups = zip(*(values[at::4] for at in range(4)), strict=False)
    return {
        number: ComposedNote(float(beat), int(pitch), int(velocity), float(beats))
        for number, (beat, pitch, velocity, beats) in enumerate(groups, first)
    }
