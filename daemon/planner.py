"""Notes that are to sound, in steps of the transport, until shortly before their time. Pure.

Steps become nanoseconds only when a note is released to the output, so a change of tempo reaches
every note that was not.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class PlannedNote:
    """A note of completion `request`: `start_step` counts from the transport's beat 0."""

    start_step: int
    pitch: int
    velocity: int
    duration_steps: int
    request: int

    @property
    def end_step(self) -> int:
        return self.start_step + self.duration_steps

    def moved(self, steps: int) -> PlannedNote:
        return replace(self, start_step=self.start_step + steps)


class Planner:
    """The notes of one completion in two queues: those to begin, and those that sound and are to
    end."""

    def __init__(self) -> None:
        self._starts: list[PlannedNote] = []
        self._ends: list[tuple[int, int, PlannedNote]] = []

    def add(self, note: PlannedNote) -> None:
        heapq.heappush(self._starts, note)

    def started(self, note: PlannedNote, owner: int) -> None:
        """A note was released under this owner number; it ends at its end step."""
        heapq.heappush(self._ends, (note.end_step, owner, note))

    def starting(self, before_step: float) -> list[PlannedNote]:
        """Take the notes that begin before a step, in order."""
        taken: list[PlannedNote] = []
        while self._starts and self._starts[0].start_step < before_step:
            taken.append(heapq.heappop(self._starts))
        return taken

    def ending(self, before_step: float) -> list[tuple[PlannedNote, int]]:
        """Take the notes, with their owner numbers, that end before a step, in order."""
        taken: list[tuple[PlannedNote, int]] = []
        while self._ends and self._ends[0][0] < before_step:
            _, owner, note = heapq.heappop(self._ends)
            taken.append((note, owner))
        return taken

    def drop(self, from_step: float = -math.inf) -> None:
        """Forget the notes from a step on that were not released."""
        self._starts = [note for note in self._starts if note.start_step < from_step]
        heapq.heapify(self._starts)

    def move(self, steps: int) -> None:
        """Let everything be so many steps later."""
        self._starts = [note.moved(steps) for note in self._starts]  # in the order they had
        self._ends = [(end + steps, owner, note.moved(steps)) for end, owner, note in self._ends]

    @property
    def is_over(self) -> bool:
        """Whether nothing is to begin or to end."""
        return not self._starts and not self._ends

    def __len__(self) -> int:
        """How many notes are to begin."""
        return len(self._starts)
