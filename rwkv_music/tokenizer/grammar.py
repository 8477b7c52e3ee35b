"""What may follow: the mask that makes every sampled bar valid and canonical.

Positions never go back, chord tones ascend without doubles, no note leaves the completion; so the
tokens of a completion are the tokens of hearing it. The header is forced, not sampled: sampling
`Bar` says that the bar is over, and the id itself is fed with the next header.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import TokenError
from ..music import LONGEST_STEPS, LOWEST_PITCH, Meter, Note
from .vocabulary import Vocabulary

Mask = NDArray[np.bool_]

POSITION, PITCH, VELOCITY, DURATION, NEXT, OVER = (
    "position",
    "pitch",
    "velocity",
    "duration",
    "next",
    "over",
)


class BarGrammar:
    """The sampled part of one bar: ask `allowed`, sample, `push`, until `stage` is OVER.

    first_step: positions before it are masked (a launch inside the bar).
    needs_note: the bar may not end empty.
    steps_to_end: notes may neither start there nor end later, in steps after the bar line
    (None: free).
    after: the last note that the bar already holds.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        meter: Meter,
        *,
        first_step: int = 0,
        needs_note: bool = False,
        steps_to_end: int | None = None,
        after: Note | None = None,
    ) -> None:
        self._v = vocabulary
        self._end = meter.steps if steps_to_end is None else min(meter.steps, steps_to_end)
        self._needs_note = needs_note
        self._steps_to_end = steps_to_end
        self.position = max(first_step - 1, -1 if after is None else after.onset)
        self.pitch = -1
        self.velocity = 0
        self.stage = POSITION
        if after is not None and after.onset >= first_step:
            self.stage, self.pitch = NEXT, after.pitch
        if needs_note and not self.allowed().any():
            self._needs_note = False  # no room is left in this bar

    def allowed(self) -> Mask:
        """Which ids may come now, as a boolean array [V]; at least one is true until OVER."""
        v = self._v
        mask = np.zeros(len(v), np.bool_)
        if self.stage in (POSITION, NEXT):
            mask[v.position.start + self.position + 1 : v.position.start + max(self._end, 0)] = True
            mask[v.bar] = not self._needs_note
        if self.stage == PITCH or (self.stage == NEXT and self.position < self._end):
            lowest = max(self.pitch + 1 - LOWEST_PITCH, 0)
            mask[v.pitch.start + lowest : v.pitch.stop] = True
        elif self.stage == VELOCITY:
            mask[v.velocity.start : v.velocity.stop] = True
        elif self.stage == DURATION:
            longest = LONGEST_STEPS
            if self._steps_to_end is not None:
                longest = min(longest, self._steps_to_end - self.position)
            mask[v.duration.start : v.duration.start + longest] = True
        return mask

    def push(self, token: int) -> Note | None:
        """Take an allowed id; the note that it completes, if any. Raises TokenError where an id
        of that kind cannot stand."""
        v = self._v
        if token == v.bar and self.stage in (POSITION, NEXT):
            self.stage = OVER
        elif token in v.position and self.stage in (POSITION, NEXT):
            self.position, self.pitch = token - v.position.start, -1
            self.stage = PITCH
        elif token in v.pitch and self.stage in (PITCH, NEXT):
            self.pitch = token - v.pitch.start + LOWEST_PITCH
            self.stage = VELOCITY
        elif token in v.velocity and self.stage == VELOCITY:
            self.velocity = v.velocities[token - v.velocity.start]
            self.stage = DURATION
        elif token in v.duration and self.stage == DURATION:
            self.stage, self._needs_note = NEXT, False
            return Note(self.position, self.pitch, self.velocity, token - v.duration.start + 1)
        else:
            raise TokenError(f"token id {token} cannot stand here: the stage is {self.stage}")
        return None
