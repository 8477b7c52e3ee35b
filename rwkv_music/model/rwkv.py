"""RWKV over REMI tokens as a MusicModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..constraints import Constraints
from ..engine.base import Engine, EngineState, Logits
from ..errors import CheckpointError
from ..music import LONGEST_STEPS, Meter, Note
from ..timebase import round_half_up
from ..tokenizer import BarGrammar, Vocabulary, encode_header, encode_notes, encode_onset
from ..tokenizer.grammar import OVER
from .protocol import BarRequest


@dataclass(slots=True)
class RwkvState:
    """The engine's state, and the logits after the last token heard."""

    engine: EngineState
    logits: Logits


class RwkvProposal:
    """A bar in the making, token by token. Implements protocol.Proposal."""

    def __init__(
        self, state: RwkvState, request: BarRequest, rng: np.random.Generator, v: Vocabulary
    ) -> None:
        self.state = state
        self._rng = rng
        self._v = v
        self._constraints = request.constraints or Constraints(request.sampling)
        self._constraints.open_bar(request.meter.steps)
        self._grammar = BarGrammar(
            v,
            request.meter,
            first_step=request.first_step,
            needs_note=request.needs_note,
            steps_to_end=request.steps_to_end,
            after=request.after,
        )
        self._note: Note | None = None

    @property
    def over(self) -> bool:
        return self._grammar.stage == OVER

    def take(self) -> Note | None:
        note, self._note = self._note, None
        return note

    def choose(self) -> int | None:
        """The next token to feed; None when the bar is over: the next header feeds its token."""
        token = self._constraints.choose(self.state.logits, self._grammar, self._v, self._rng)
        self._note = self._grammar.push(token)
        if self._note is not None:
            self._constraints.sound(self._note)
        return None if self.over else token


class RwkvMusicModel:
    """Implements protocol.MusicModel on any engine."""

    def __init__(
        self, engine: Engine, vocabulary: Vocabulary, name: str = "rwkv", fingerprint: str = ""
    ) -> None:
        self._engine = engine
        self._v = vocabulary
        self._name = name
        self._fingerprint = fingerprint
        state = engine.new_state()
        self._start = RwkvState(state, engine.step(state, vocabulary.bos))

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def tensors_of(self, state: RwkvState) -> dict[str, NDArray[np.float32]]:
        return {"state": state.engine, "logits": state.logits}

    def state_of(self, tensors: Mapping[str, NDArray[np.float32]]) -> RwkvState:
        state = self.fork(self._start)
        for name, place in self.tensors_of(state).items():
            kept = tensors.get(name)
            if kept is None or kept.shape != place.shape or not np.isfinite(kept).all():
                got = "nothing" if kept is None else f"{kept.shape}, or not all finite"
                raise CheckpointError(f"{name}: expected {place.shape} numbers, got {got}")
            place[:] = kept
        return state

    def start(self) -> RwkvState:
        return self.fork(self._start)

    def fork(self, state: RwkvState) -> RwkvState:
        return RwkvState(state.engine.copy(), state.logits.copy())

    def open_bar(self, state: RwkvState, meter: Meter, tempo_bpm: float) -> None:
        self._hear(state, encode_header(meter, tempo_bpm, self._v))

    def hear_notes(
        self, state: RwkvState, notes: Sequence[Note], after: Note | None = None
    ) -> None:
        self._hear(state, encode_notes(notes, after, self._v))

    def expected_duration(
        self, state: RwkvState, note: Note, after: Note | None, at_least: int
    ) -> int:
        tokens = [*encode_onset(note, after, self._v), self._v.velocity_id(note.velocity)]
        if at_least >= LONGEST_STEPS:
            return at_least
        durations = self._engine.prefill(state.engine.copy(), tokens)[
            self._v.duration.start : self._v.duration.stop
        ]
        return _outlasting(durations, at_least)

    def begin(
        self, state: RwkvState, request: BarRequest, rng: np.random.Generator
    ) -> RwkvProposal:
        return RwkvProposal(state, request, rng, self._v)

    def advance(self, proposals: Sequence[RwkvProposal]) -> None:
        chosen = [(p.state, p.choose()) for p in proposals if not p.over]
        feeding = [(state, token) for state, token in chosen if token is not None]
        if len(feeding) == 1:
            state, token = feeding[0]
            state.logits = self._engine.step(state.engine, token)
        elif feeding:
            states, tokens = zip(*feeding, strict=True)
            logits = self._engine.step_batch([state.engine for state in states], tokens)
            for state, row in zip(states, logits, strict=True):
                state.logits = row

    def _hear(self, state: RwkvState, tokens: Sequence[int]) -> None:
        if tokens:
            state.logits = self._engine.prefill(state.engine, tokens)


def _outlasting(scores: Logits, at_least: int) -> int:
    """The mean duration, in steps, where `scores` are the logits of 1, 2, 3 …; when that has been
    outlasted, the mean of the longer ones, and so on, until it is long enough.

    The mean of all that last `at_least` would be a little nearer to the truth, but another one
    with every step that a key stays down, and the state would have to be corrected each time.
    """
    expected = 0
    while expected < max(at_least, 1):
        weights = np.exp(scores[expected:] - scores[expected:].max(), dtype=np.float64)
        lasting = np.arange(expected + 1, len(scores) + 1)
        expected = round_half_up(float((weights * lasting).sum() / weights.sum()))
    return expected
