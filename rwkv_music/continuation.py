"""A completion in the making: bars of notes on a state of its own, no further than allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from .constraints import Beginning, Constraints
from .model.protocol import BarRequest, MusicModel, Proposal
from .music import Meter, Note
from .sampling import Sampling

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class CompletionNote:
    """A note of bar `bar` (0 the first) of a completion; its onset counts from that bar's line,
    `start_step` from the line of the first bar."""

    bar: int
    note: Note
    start_step: int


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What a completion is to be.

    Exactly `bars` bars; steps count from the line of the first. meter, tempo_bpm: what its bars
    say until `set_header`. first_step: where it joins in, in a bar of which, when it is `opened`,
    the header and the notes up to `after` have been heard. let_ring: notes may end after the last
    bar. heard: how long each pitch class sounded, for `key auto`. avoid: the first notes of
    completions that it may not begin like.
    """

    bars: int
    meter: Meter
    tempo_bpm: float
    sampling: Sampling = field(default_factory=Sampling)
    first_step: int = 0
    opened: bool = False
    after: Note | None = None
    let_ring: bool = False
    heard: tuple[float, ...] | None = None
    avoid: tuple[Beginning, ...] = ()


class Continuation(Generic[S]):
    """A completion on `state`, which it owns and moves on.

    `next_note` computes at most one note and never opens a bar or gives a note at or beyond
    `until_steps`, so that the meter and tempo of each bar are asked for (`set_header`) as late as
    possible. Several continuations are made as one batch by advancing together what each `wants`.
    """

    def __init__(
        self, model: MusicModel[S], state: S, request: CompletionRequest, seed: int
    ) -> None:
        self._model = model
        self._request = request
        self._constraints = Constraints(request.sampling, request.heard, request.avoid)
        self._rng = np.random.default_rng(seed)
        self._meter, self._tempo_bpm = request.meter, request.tempo_bpm
        self._bar_start_steps = 0
        self._bar_meter = request.meter
        self._proposal: Proposal | None = None
        self._pending: CompletionNote | None = None
        self.state = state
        self.seed = seed
        self.bars = request.bars
        self.bar = 0  # the bar that is open, or opens next
        self.finished = False

    def set_header(self, meter: Meter, tempo_bpm: float) -> None:
        """What the next bars to open shall say."""
        self._meter, self._tempo_bpm = meter, tempo_bpm

    def next_note(self, until_steps: int) -> CompletionNote | None:
        """The next note that starts before `until_steps`; None when there is none yet, or when
        the completion is `finished`."""
        while True:
            note = self.take(until_steps)
            proposal = None if note is not None else self.wants(until_steps)
            if proposal is None:
                return note
            self._model.advance([proposal])

    def take(self, until_steps: int) -> CompletionNote | None:
        """A note that is made already and starts before `until_steps`, once."""
        self._collect()
        note = self._pending
        if note is None or note.start_step >= until_steps:
            return None
        self._pending = None
        return note

    def wants(self, until_steps: int) -> Proposal | None:
        """What the model is to advance for a further note before `until_steps`, if anything."""
        self._collect()
        if self.finished or self._pending is not None:
            return None
        if self._proposal is None and self._bar_start_steps < until_steps:
            self._proposal = self._open()
        return self._proposal

    def _collect(self) -> None:
        """See what the last advance has brought: a note, or the end of the bar."""
        if self._proposal is None or self._pending is not None:
            return
        note = self._proposal.take()
        if note is not None:
            start_step = self._bar_start_steps + note.onset
            self._pending = CompletionNote(self.bar, note, start_step)
        elif self._proposal.over:
            self._proposal = None
            self._bar_start_steps += self._bar_meter.steps
            self.bar += 1
            self.finished = self.bar == self.bars

    def _open(self) -> Proposal:
        wish = self._request
        first = self.bar == 0
        joins = first and wish.opened
        if not joins:
            self._bar_meter = self._meter
            self._model.open_bar(self.state, self._meter, self._tempo_bpm)
        room = (self.bars - self.bar) * self._bar_meter.steps
        request = BarRequest(
            meter=self._bar_meter,
            first_step=wish.first_step if first else 0,
            needs_note=first,
            steps_to_end=None if wish.let_ring else room,
            after=wish.after if joins else None,
            sampling=wish.sampling,
            constraints=self._constraints,
        )
        return self._model.begin(self.state, request, self._rng)
