"""A conversation with a worker, for its tests."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rwkv_music_daemon.messages import Generate, Hear, HeardTuple, Message, Proposed
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.worker import Worker

from rwkv_music.model.scripted import ScriptedModel

FAR = (10_000, 0)


class Talk:
    """A worker on the scripted model, and what it has answered."""

    def __init__(self, model: ScriptedModel | None = None) -> None:
        self.answers: list[Message] = []
        self.worker = Worker(model or ScriptedModel(), self.answers.append)

    def say(self, *messages: Message) -> None:
        self.worker.handle(messages)

    def work(self) -> None:
        """Until there is nothing more to do for now."""
        for _ in range(10_000):
            if not self.worker.work():
                return
        raise AssertionError("it works for ever")

    def proposed(self) -> list[tuple[int, int, int]]:
        """Request, bar and onset of each note so far."""
        return [(a.request, a.bar, a.note[0]) for a in self.answers if isinstance(a, Proposed)]

    def of(self, kind: type[Message]) -> list[Any]:
        return [answer for answer in self.answers if isinstance(answer, kind)]


def hear(bar: int, *notes: HeardTuple, closed: bool = True) -> Hear:
    return Hear(bar, "4/4", 120.0, notes, closed)


def generate(request: int = 1, bar: int = 1, bars: int = 2, **changed: Any) -> Generate:
    values: dict[str, Any] = {
        "request": request,
        "bar": bar,
        "bars": bars,
        "first_step": 0,
        "meter": "4/4",
        "tempo_bpm": 120.0,
        "until": FAR,
        "seeds": (5,),
        "let_ring": False,
        "wishes": asdict(Generation()),
    }
    return Generate(**values | changed)
