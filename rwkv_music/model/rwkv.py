"""RWKV over REMI tokens as a MusicModel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..constraints import Constraints
from ..engine.base import Engine, EngineState, Logits
from ..music import LONGEST_STEPS, Meter, Note
from ..tokenizer import BarGrammar, Vocabulary, encode_header, encode_notes, encode_onset
from ..tokenizer.grammar import OVER
from .protocol import BarRequest


@dataclass(slots=True)
class RwkvState:
    """The engine's state, and the logits after the last token heard."""

    engine: EngineState
    logits: Logits


class RwkvMusicModel:
    """Implements protocol.MusicModel on any engine."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary, name: str = "rwkv") -> None:
        self._engine = engine
        self._v = vocabulary
        self._name = name
        state = engine.new_state()
        self._start = RwkvState(state, engine.step(state, vocabulary.bos))

    @property
    def name(self) -> str:
        return self._name

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
        shortest = max(at_least, 1)
        return shortest + int(durations[shortest - 1 :].argmax())

    def propose(
        self, state: RwkvState, request: BarRequest, rng: np.random.Generator
    ) -> Iterator[Note]:
        constraints = request.constraints or Constraints(request.sampling)
        constraints.open_bar(request.meter.steps)
        grammar = BarGrammar(
            self._v,
            request.meter,
            first_step=request.first_step,
            needs_note=request.needs_note,
            steps_to_end=request.steps_to_end,
            after=request.after,
        )
        while True:
            token = constraints.choose(state.logits, grammar, self._v, rng)
            note = grammar.push(token)
            if grammar.stage == OVER:
                return  # the next header feeds the bar token
            state.logits = self._engine.step(state.engine, token)
            if note is not None:
                constraints.sound(note)
                yield note

    def _hear(self, state: RwkvState, tokens: Sequence[int]) -> None:
        if tokens:
            state.logits = self._engine.prefill(state.engine, tokens)
