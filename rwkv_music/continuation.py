"""A completion in the making: bars of notes on a state of its own, no further than allowed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from .constraints import Beginning, Constraints
from .model.protocol import BarRequest, MusicModel, Proposal
from .music import STEPS_PER_BEAT, Meter, Note
from .sampling import Sampling

S = TypeVar("S")

_REACH_STEPS = 8 * STEPS_PER_BEAT  # a revision so far behind the open bar costs nothing to reach
Place = tuple[int, int]  # a bar of a completion, from 0, and a step in it
Header = tuple[Meter, float]  # what a bar line says: meter, and tempo in quarters a minute


@dataclass(frozen=True, slots=True)
class CompletionNote:
    """A note of bar `bar` (0 the first) of a completion; its onset counts from that bar's line,
    `start_step` from the line of the first bar."""

    bar: int
    note: Note
    start_step: int

    @property
    def place(self) -> Place:
        return self.bar, self.note.onset


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


@dataclass(frozen=True, slots=True)
class Revision:
    """From step `step` of bar `bar` on, the completion is to be drawn like this."""

    bar: int
    step: int
    sampling: Sampling
    let_ring: bool

    @property
    def place(self) -> Place:
        return self.bar, self.step


@dataclass(slots=True)
class _OpenedBar(Generic[S]):
    """A bar as far as it is made. `state` is that before it, while it is kept; of a first bar that
    was heard in part, the state after that."""

    start_steps: int
    meter: Meter
    tempo_bpm: float
    state: S | None
    notes: list[Note] = field(default_factory=list)


class Continuation(Generic[S]):
    """A completion on `state`, which it owns and moves on.

    `next_note` computes at most one note and never opens a bar or gives a note at or beyond
    `until`, so that the meter and tempo of each bar may be told (`set_header`) as late as
    possible. Several continuations are made as one batch by advancing together what each `wants`.

    The notes depend on state, request, headers, seed and revisions alone, and not on how far ahead
    of a revision they had been made.
    """

    def __init__(
        self, model: MusicModel[S], state: S, request: CompletionRequest, seed: int
    ) -> None:
        self._model = model
        self._request = request
        self._constraints = Constraints(request.sampling, request.heard, request.avoid)
        self._rng = np.random.default_rng(seed)
        self._headers: list[tuple[int, Header]] = [(0, (request.meter, request.tempo_bpm))]
        self._opened: list[_OpenedBar[S]] = []
        self._bar_start_steps = 0
        self._proposal: Proposal | None = None
        self._pending: CompletionNote | None = None
        self._revisions: list[Revision] = []  # that nothing has been made under yet
        self.state = state
        self.seed = seed
        self.bars = request.bars
        self.bar = 0  # the bar that is open, or opens next
        self.finished = False

    @property
    def broken(self) -> dict[str, int]:
        """How often each constraint had to give way."""
        return dict(self._constraints.broken)

    def set_header(self, bar: int, meter: Meter, tempo_bpm: float) -> None:
        """What bars from this one on shall say. One that is open already says it when a revision
        goes back into it or before it."""
        self._headers = [told for told in self._headers if told[0] < bar]
        self._headers.append((bar, (meter, tempo_bpm)))

    def _header(self, bar: int) -> Header:
        return next(header for first, header in reversed(self._headers) if first <= bar)

    def next_note(self, until: Place) -> CompletionNote | None:
        """The next note that starts before `until`; None when there is none yet, or when the
        completion is `finished`."""
        while True:
            note = self.take(until)
            proposal = None if note is not None else self.wants(until)
            if proposal is None:
                return note
            self._model.advance([proposal])

    def take(self, until: Place) -> CompletionNote | None:
        """A note that is made already and starts before `until`, once."""
        self._collect()
        note = self._pending
        if note is None or note.place >= until:
            return None
        self._pending = None
        return note

    def wants(self, until: Place) -> Proposal | None:
        """What the model is to advance for a further note before `until`, if anything."""
        self._collect()
        if self.finished or self._pending is not None:
            return None
        if self._proposal is None and (self.bar, 0) < until:
            self._forget_states(self._bar_start_steps - _REACH_STEPS)
            self._proposal = self._open()
        return self._proposal

    def revise(self, revision: Revision) -> None:
        """Let it be drawn otherwise from a place on. What was made beyond it is made again."""
        earlier = [kept for kept in self._revisions if kept.place < revision.place]
        self._revisions = [*earlier, revision]
        made = self._opened[revision.bar].notes if revision.bar < len(self._opened) else ()
        if self.bar > revision.bar or any(note.onset >= revision.step for note in made):
            self._go_back()

    def _collect(self) -> None:
        """See what the last advance has brought: a note, or the end of the bar."""
        if self._proposal is None or self._pending is not None:
            return
        note = self._proposal.take()
        over = note is None and self._proposal.over
        reached = self._bar_end if note is None else (self.bar, note.onset)
        if (note is not None or over) and self._revisions and reached >= self._revisions[0].place:
            self._go_back()
        elif note is not None:
            self._opened[self.bar].notes.append(note)
            self._pending = CompletionNote(self.bar, note, self._bar_start_steps + note.onset)
        elif over:
            self._proposal = None
            self._bar_start_steps += self._opened[self.bar].meter.steps
            self.bar += 1
            self.finished = self.bar == self.bars

    @property
    def _bar_end(self) -> Place:
        """What has been decided when the open bar is over: everything before the next line."""
        return self.bar + 1, -1

    def _open(self) -> Proposal:
        meter, tempo_bpm = self._header(self.bar)
        state = self._model.fork(self.state)
        if not self._joins(self.bar):
            self._model.open_bar(self.state, meter, tempo_bpm)
        self._opened.append(_OpenedBar(self._bar_start_steps, meter, tempo_bpm, state))
        return self._begin()

    def _joins(self, bar: int) -> bool:
        """Whether this is a bar that had been heard in part."""
        return bar == 0 and self._request.opened

    def _begin(self, first_step: int = 0) -> Proposal:
        """Make the open bar, or go on with it from `first_step`."""
        wish = self._request
        first = self.bar == 0
        bar = self._opened[self.bar]
        room = (self.bars - self.bar) * bar.meter.steps
        request = BarRequest(
            meter=bar.meter,
            first_step=max(first_step, wish.first_step if first else 0),
            needs_note=first and not bar.notes,
            steps_to_end=None if wish.let_ring else room,
            after=bar.notes[-1] if bar.notes else self._heard_before(self.bar),
            sampling=wish.sampling,
            constraints=self._constraints,
        )
        return self._model.begin(self.state, request, self._rng)

    def _heard_before(self, bar: int) -> Note | None:
        """The note of this bar that was heard before the completion began."""
        return self._request.after if self._joins(bar) else None

    # --- revising ------------------------------------------------------------------------------

    def _go_back(self) -> None:
        """To the place of the first revision: what is beyond it is made again."""
        revision = self._revisions.pop(0)
        self._request = replace(
            self._request, sampling=revision.sampling, let_ring=revision.let_ring
        )
        self._rng = np.random.default_rng((self.seed, *revision.place))
        del self._opened[revision.bar + 1 :]
        self._keep_to_headers()
        bar = self._opened[-1]
        bar.notes = [note for note in bar.notes if note.onset < revision.step]
        self.bar, self._bar_start_steps = revision.bar, bar.start_steps
        self._pending, self.finished = None, False
        self.state = self._state_of_opened()
        self._constraints = self._constraints_of_earlier()
        self._proposal = self._begin(revision.step)
        for note in bar.notes:
            self._constraints.sound(note)

    def _keep_to_headers(self) -> None:
        """Let the bars that there are say what has been told of them since."""
        start_steps, said_otherwise = 0, False
        for i, bar in enumerate(self._opened):
            bar.start_steps = start_steps
            if said_otherwise:
                bar.state = None
            meter, tempo_bpm = self._header(i)
            said_otherwise = said_otherwise or (meter, tempo_bpm) != (bar.meter, bar.tempo_bpm)
            bar.meter, bar.tempo_bpm = meter, tempo_bpm
            bar.notes = [note for note in bar.notes if note.onset < meter.steps]
            start_steps += meter.steps

    def _state_of_opened(self) -> S:
        """The state after the notes that there are: hearing them is what making them was."""
        kept = [(i, bar.state) for i, bar in enumerate(self._opened) if bar.state is not None]
        first, state = kept[-1]  # that of the first bar is always kept
        state = self._model.fork(state)
        for i, bar in enumerate(self._opened[first:], first):
            if not self._joins(i):
                self._model.open_bar(state, bar.meter, bar.tempo_bpm)
            self._model.hear_notes(state, bar.notes, self._heard_before(i))
        return state

    def _constraints_of_earlier(self) -> Constraints:
        """Constraints that know the bars before the open one."""
        wish = self._request
        constraints = Constraints(wish.sampling, wish.heard, wish.avoid)
        constraints.broken = self._constraints.broken
        for bar in self._opened[:-1]:
            constraints.open_bar(bar.meter.steps)
            for note in bar.notes:
                constraints.sound(note)
        return constraints

    def _forget_states(self, before_steps: int) -> None:
        """Of bars that end before there; a revision could still be heard up to, from the first."""
        for bar in self._opened[1:]:
            if bar.start_steps + bar.meter.steps <= before_steps:
                bar.state = None
