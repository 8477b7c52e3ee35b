"""What a page that is opened now needs to know of before. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from ..osc.framing import Message

_NOTES = {"/rwkv/note/heard", "/rwkv/note/played", "/rwkv/history/note"}
_FEW = {"/rwkv/done", "/rwkv/take"}  # of these the last ones, of others the last
_MOST_NOTES, _MOST_FEW = 2000, 20
_PASSING = {
    "/rwkv/error",
    "/rwkv/pong",
    "/rwkv/heartbeat",
    "/rwkv/history/done",
    "/rwkv/param/describe",
}
_BACK_BEATS = 1.0


class Backlog:
    """The notes of the present numbering, and the latest of everything else."""

    def __init__(self) -> None:
        self._latest: dict[str, Message] = {}
        self._few: deque[Message] = deque(maxlen=_MOST_FEW)
        self._notes: deque[Message] = deque(maxlen=_MOST_NOTES)
        self._beat = 0.0

    def add(self, message: Message) -> None:
        """Remember what the service said."""
        if message.address in _NOTES:
            self._notes.append(message)
        elif message.address in _FEW:
            self._few.append(message)
        elif message.address not in _PASSING:
            self._latest[message.address] = message
            if message.address == "/rwkv/status":
                self._go_to(float(message.args[2]))

    def _go_to(self, beat: float) -> None:
        """Where the numbers begin anew, the notes before it have no place any more."""
        if beat < self._beat - _BACK_BEATS:
            self._notes.clear()
        self._beat = beat

    def __iter__(self) -> Iterator[Message]:
        yield from self._latest.values()
        yield from self._few
        yield from self._notes
