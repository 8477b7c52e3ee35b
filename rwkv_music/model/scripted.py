"""The test model: what it plays depends on the meter alone, never on what was heard.

`beats` (the default): a note on every beat from the downbeat on, pitch 60 + number of the beat
(60 on the downbeat). `steps`: a note on every step, pitch 60 on even and 61 on odd steps. Velocity
79, a class of the tokens; a note ends one step before the next beat or bar line, on `steps` with
the step. A beat is a quarter note in every meter, so that a 7/8 bar has a short last one. When no
beat is left in a bar that needs a note, it is played at the first step allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError, ConfigError
from ..music import LONGEST_STEPS, STEPS_PER_BEAT, Meter, Note
from ..tokenizer import encode_header, encode_notes, encode_onset, load_vocabulary
from .protocol import BarRequest

SCRIPTS = {"beats": STEPS_PER_BEAT, "steps": 1}  # steps from note to note
_LOWEST_PITCH = 60
_VELOCITY = 79
_SHIFTS = (0, 16, 32, 48)  # of the digest's parts, which a float32 can hold


@dataclass(slots=True)
class ScriptedState:
    """What was heard, as a number of tokens and a digest of them: enough to compare states."""

    tokens: int = 0
    digest: int = 0

    def hear(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            self.digest = hash((self.digest, token))  # of integers: the same in every process
        self.tokens += len(tokens)


class ScriptedProposal:
    """The rest of a bar, a note a step. Implements protocol.Proposal."""

    def __init__(self, state: ScriptedState, after: Note | None, notes: Sequence[Note]) -> None:
        self.over = False
        self._state = state
        self._after = after
        self._left = list(notes)
        self._note: Note | None = None

    def take(self) -> Note | None:
        note, self._note = self._note, None
        return note

    def advance(self) -> None:
        if not self._left:
            self.over = True
            return
        self._note = self._left.pop(0)
        self._state.hear(encode_notes((self._note,), self._after))
        self._after = self._note


class ScriptedModel:
    """Implements protocol.MusicModel. Raises ConfigError for an unknown script."""

    def __init__(self, script: str = "") -> None:
        self._script = script or "beats"
        if self._script not in SCRIPTS:
            raise ConfigError(
                f"model.path: got {script!r}, expected {' or '.join(SCRIPTS)} (or nothing) with"
                " model.engine=scripted"
            )

    @property
    def name(self) -> str:
        return f"scripted ({self._script})"

    @property
    def fingerprint(self) -> str:
        return self.name

    def tensors_of(self, state: ScriptedState) -> dict[str, NDArray[np.float32]]:
        parts = [state.tokens, *((state.digest >> shift) & 0xFFFF for shift in _SHIFTS)]
        return {"heard": np.array(parts, np.float32)}

    def state_of(self, tensors: Mapping[str, NDArray[np.float32]]) -> ScriptedState:
        heard = tensors.get("heard")
        if heard is None or heard.shape != (1 + len(_SHIFTS),):
            raise CheckpointError(f"heard: expected {1 + len(_SHIFTS)} numbers")
        tokens, *parts = (int(part) for part in heard)
        digest = sum(part << shift for part, shift in zip(parts, _SHIFTS, strict=True))
        return ScriptedState(tokens, digest - (1 << 64) if digest >> 63 else digest)

    def start(self) -> ScriptedState:
        return ScriptedState()

    def fork(self, state: ScriptedState) -> ScriptedState:
        return ScriptedState(state.tokens, state.digest)

    def open_bar(self, state: ScriptedState, meter: Meter, tempo_bpm: float) -> None:
        state.hear(encode_header(meter, tempo_bpm))

    def hear_notes(
        self, state: ScriptedState, notes: Sequence[Note], after: Note | None = None
    ) -> None:
        state.hear(encode_notes(notes, after))

    def expected_duration(
        self, state: ScriptedState, note: Note, after: Note | None, at_least: int
    ) -> int:
        """The shortest number of whole beats that is long enough."""
        encode_onset(note, after, load_vocabulary())  # only to refuse what has no token
        beats = -(-max(at_least, 1) // STEPS_PER_BEAT)
        return max(min(beats * STEPS_PER_BEAT, LONGEST_STEPS), at_least)

    def begin(
        self, state: ScriptedState, request: BarRequest, rng: np.random.Generator
    ) -> ScriptedProposal:
        notes = [self._note(onset, request) for onset in self._onsets(request)]
        return ScriptedProposal(state, request.after, notes)

    def advance(self, proposals: Sequence[ScriptedProposal]) -> None:
        for proposal in proposals:
            proposal.advance()

    def _onsets(self, request: BarRequest) -> Sequence[int]:
        end = request.meter.steps
        if request.steps_to_end is not None:
            end = min(end, request.steps_to_end)
        first, after = request.first_step, request.after
        if after is not None:  # chords ascend
            has_room = self._note(after.onset, request).pitch > after.pitch
            first = max(first, after.onset + (not has_room))
        distance = SCRIPTS[self._script]
        onsets = range(-(-first // distance) * distance, end, distance)
        if not onsets and request.needs_note and first < end:
            return (first,)
        return onsets

    def _note(self, onset: int, request: BarRequest) -> Note:
        distance = SCRIPTS[self._script]
        number = onset // distance
        pitch = _LOWEST_PITCH + (number % 2 if distance == 1 else number)
        end = min((number + 1) * distance, request.meter.steps)
        if request.steps_to_end is not None:
            end = min(end, request.steps_to_end + 1)
        return Note(onset, pitch, _VELOCITY, max(end - onset - 1, 1))
