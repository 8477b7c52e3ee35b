"""The takes of one request: completions of one state, made as one batch, kept to be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from .constraints import BEGINNING_NOTES
from .continuation import CompletionNote, CompletionRequest, Continuation, Place, Revision
from .model.protocol import MusicModel
from .music import Meter
from .sampling import Sampling

S = TypeVar("S")


@dataclass(slots=True)
class Take(Generic[S]):
    """A completion and its notes so far."""

    continuation: Continuation[S]
    notes: list[CompletionNote] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.continuation.finished


class Takes(Generic[S]):
    """One take a seed, all from `state`, which is kept for takes to come."""

    def __init__(
        self, model: MusicModel[S], state: S, request: CompletionRequest, seeds: Sequence[int]
    ) -> None:
        self._model = model
        self._state = state
        self._request = request
        self.takes = tuple(
            Take(Continuation(model, model.fork(state), request, seed)) for seed in seeds
        )

    def set_header(self, bar: int, meter: Meter, tempo_bpm: float) -> None:
        """What bars from this one on shall say (see `Continuation.set_header`)."""
        for take in self.takes:
            take.continuation.set_header(bar, meter, tempo_bpm)

    def advance(self, until: Place) -> bool:
        """Compute one step of every take that may go on; false when there was nothing to do."""
        wanted = [take.continuation.wants(until) for take in self.takes]
        proposals = [proposal for proposal in wanted if proposal is not None]
        if proposals:
            self._model.advance(proposals)
        progress = bool(proposals)
        for take in self.takes:
            note = take.continuation.take(until)
            if note is not None:
                take.notes.append(note)
                progress = True
        return progress

    def revise(self, revision: Revision) -> None:
        """Let all takes be drawn otherwise from a place on; their notes beyond it are gone."""
        for take in self.takes:
            take.continuation.revise(revision)
            take.notes = [note for note in take.notes if note.place < revision.place]

    def again(self, seeds: Sequence[int], sampling: Sampling, let_ring: bool) -> Takes[S]:
        """New takes from the same state, none of which begins like one that was offered."""
        offered = tuple(
            tuple((n.note.onset, n.note.pitch) for n in take.notes[:BEGINNING_NOTES])
            for take in self.takes
        )
        request = replace(
            self._request,
            sampling=sampling,
            let_ring=let_ring,
            avoid=self._request.avoid + offered,
        )
        return Takes(self._model, self._state, request, seeds)
