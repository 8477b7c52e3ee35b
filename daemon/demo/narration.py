"""The demo in words, while it happens. Bars are counted from 1, as musicians do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from rwkv_music.timebase import beats_to_steps

from .performance import Performance


class Narration:
    """Takes OSC events and says a line for each that matters to a listener."""

    def __init__(self, performance: Performance, say: Callable[[str], None]) -> None:
        self._performance = performance
        self._say = say
        self._played: Counter[int] = Counter()  # our notes, by bar
        self.seed: int | None = None

    def __call__(self, address: str, args: tuple[Any, ...]) -> None:
        match address, args:
            case "/rwkv/bar", (bar, heard):
                self._tell_bar(bar, heard)
            case "/rwkv/accepted", (request, start_bar):
                self._say(f"asked to go on: request {request}, from bar {start_bar + 1} on")
            case "/rwkv/note/played", (_, beat, *_):
                self._played[beats_to_steps(beat) // self._performance.meter.steps] += 1
            case "/rwkv/take", (_, _, _, _, seed):
                self.seed = seed
            case "/rwkv/error", (code, message, where):
                self._say(f"error {code}: {message} {where}".rstrip())

    def _tell_bar(self, bar: int, heard: int) -> None:
        played = self._played.pop(bar, 0)
        told = [f"heard {_notes(heard)}"] if heard or not played else []
        told += [f"played {_notes(played)}"] if played else []
        self._say(f"bar {bar + 1:3}  {', '.join(told)}")


def _notes(count: int) -> str:
    return f"{count} note" + ("" if count == 1 else "s")
