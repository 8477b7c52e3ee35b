"""What the worker is told of the bars, and when. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from rwkv_music.music import STEPS_PER_BEAT

from .assembler import Assembler
from .messages import Message


class Telling:
    """Bars that have changed go to the worker; what is being struck right now, a step later: it may
    still become a chord."""

    def __init__(self, assembler: Assembler, to_worker: Callable[[Message], None]) -> None:
        self._assembler = assembler
        self._to_worker = to_worker
        self._told_step = 0

    def begin(self, beat: float) -> None:
        """Beats are numbered anew, from that one on."""
        self._told_step = min(math.floor(beat * STEPS_PER_BEAT), 0)

    def changes(self, until_step: int | None = None) -> None:
        """Tell what has changed, in open bars before that step."""
        for message in self._assembler.updates(until_step):
            self._to_worker(message)

    def settled(self, beat: float) -> None:
        """Tell what is known for sure by now."""
        step = math.floor(beat * STEPS_PER_BEAT)
        if step >= self._told_step + STEPS_PER_BEAT:
            self._told_step = step
            self._assembler.refresh(beat)
        self.changes(step)
