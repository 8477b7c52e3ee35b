"""What may follow: the mask that makes every sampled bar valid and canonical.

Positions never go back, chord tones ascend without doubles, no note leaves the completion; so the
tokens of a completion are the tokens of hearing it. The header is forced, not sampled: sampling
`Bar` says that the bar is over, and the id itself is fed with the next header.
"""

from __future__ import annotations

from typing import NamedTuple

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


class Ranges(NamedTuple):
    """The ids that may come: all [now, now_stop) at this place of the bar, the positions
    [later, later_stop) further on, in their order, and `end`, which ends the bar, if it may."""

    now: int
    now_stop: int
    later: int
    later_stop: int
    end: int
    may_end: bool

    @property
    def size(self) -> int:
        return self.now_stop - self.now + self.later_stop - self.later + self.may_end


class BarGrammar:
    """The sampled part of one bar: ask `ranges`, sample, `push`, until `stage` is OVER.

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
        if needs_note and not self.ranges().size:
            self._needs_note = False  # no room is left in this bar

    def ranges(self) -> Ranges:
        """Which ids may come now; at least one until OVER."""
        v, stage = self._v, self.stage
        now = now_stop = later = later_stop = 0
        may_end = False
        if stage == VELOCITY:
            now, now_stop = v.velocity.start, v.velocity.stop
        elif stage == DURATION:
            longest = LONGEST_STEPS
            if self._steps_to_end is not None:
                longest = min(longest, self._steps_to_end - self.position)
            now = v.duration.start
            now_stop = now + longest
        elif stage != OVER:
            if stage == PITCH or (stage == NEXT and self.position < self._end):
                now = v.pitch.start + max(self.pitch + 1 - LOWEST_PITCH, 0)
                now_stop = v.pitch.stop
            if stage != PITCH:
                later = v.position.start + self.position + 1
                later_stop = max(v.position.start + self._end, later)
                may_end = not self._needs_note
        return Ranges(now, now_stop, later, later_stop, v.bar, may_end)

    def allowed(self) -> Mask:
        """The same as a boolean array [V]."""
        mask = np.zeros(len(self._v), np.bool_)
        ranges = self.ranges()
        mask[ranges.now : ranges.now_stop] = True
        mask[ranges.later : ranges.later_stop] = True
        mask[ranges.end] = ranges.may_end
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
