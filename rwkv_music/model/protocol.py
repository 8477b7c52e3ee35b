"""The one door to every model family.

A model hears music and proposes music; a State is everything that it remembers. States are
mutable and belong to whoever made them: hearing and proposing move a state on in place, `fork`
makes an independent copy, in one memcpy where the family allows it. Methods are called from one
thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..constraints import Constraints
from ..music import Meter, Note
from ..sampling import Sampling

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class BarRequest:
    """What is asked of one bar of a completion, after its header was heard.

    meter: the bar's. first_step: nothing starts before it. needs_note: the bar may not be empty.
    steps_to_end: notes end at most this many steps after the bar line (None: they may ring).
    after: the last note that the bar already holds. sampling: how notes are drawn. constraints:
    what keeps to the same `sampling` from bar to bar (voices that sound on, repetition, the key
    that was heard): one object for all bars of a completion, which each bar moves on; None: this
    bar stands alone.
    """

    meter: Meter
    first_step: int = 0
    needs_note: bool = False
    steps_to_end: int | None = None
    after: Note | None = None
    sampling: Sampling = field(default_factory=Sampling)
    constraints: Constraints | None = None


class Proposal(Protocol):
    """A bar in the making, on a state that it moves on.

    When it is `over`, the bar is complete and the state stands before the next header: the same
    state as hearing the bar.
    """

    @property
    def over(self) -> bool: ...

    def take(self) -> Note | None:
        """The note that the last `advance` completed, once; the state has moved past it."""
        ...


class MusicModel(Protocol[S]):
    """What a model family implements; `tests/contract/` runs on all of them."""

    @property
    def name(self) -> str:
        """What `/rwkv/status` calls it."""
        ...

    @property
    def fingerprint(self) -> str:
        """The same for models whose states mean the same, whatever engine runs them."""
        ...

    def start(self) -> S:
        """The state before any music."""
        ...

    def tensors_of(self, state: S) -> Mapping[str, NDArray[np.float32]]:
        """What a file must keep of a state."""
        ...

    def state_of(self, tensors: Mapping[str, NDArray[np.float32]]) -> S:
        """The state again. Raises CheckpointError for tensors that are none of this model's."""
        ...

    def fork(self, state: S) -> S:
        """An independent copy."""
        ...

    def open_bar(self, state: S, meter: Meter, tempo_bpm: float) -> None:
        """Hear a bar line and what is true from it on."""
        ...

    def hear_notes(self, state: S, notes: Sequence[Note], after: Note | None = None) -> None:
        """Hear notes of the open bar, in canonical order, following `after` in that bar.

        Splitting the notes over several calls gives the same state. Raises TokenError for a note
        that has no token, before the state has moved.
        """
        ...

    def expected_duration(self, state: S, note: Note, after: Note | None, at_least: int) -> int:
        """How long, in steps, a note will have been held whose key is still down; the state stays.

        `note.duration` is ignored. The answer is `at_least` or longer, and stays the same until the
        key has been down for longer than that.
        """
        ...

    def begin(self, state: S, request: BarRequest, rng: np.random.Generator) -> Proposal:
        """Start to continue the open bar; nothing is computed yet."""
        ...

    def advance(self, proposals: Sequence[Any]) -> None:
        """Compute one step of each of this model's own proposals, as one batch where the family
        can. Notes come in canonical order; one that is over is left alone."""
        ...


def propose(
    model: MusicModel[S], state: S, request: BarRequest, rng: np.random.Generator
) -> Iterator[Note]:
    """Continue the open bar of one state: each `next` computes one note."""
    proposal = model.begin(state, request, rng)
    while not proposal.over:
        model.advance([proposal])
        note = proposal.take()
        if note is not None:
            yield note
