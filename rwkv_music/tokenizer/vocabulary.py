"""The frozen vocabulary: 432 REMI tokens, read from vocabulary.json.

The file was made once with miditok by `train/vocabulary.py`; a test makes it again and compares.
Ids never change within a format number: checkpoints carry the file's hash.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..errors import TokenError
from ..music import LONGEST_STEPS, LOWEST_PITCH, METERS, STEPS_PER_BEAT, Meter
from ..tempo import TEMPO_COUNT, TempoTracker, tempo_class, tempo_of_class

__all__ = [
    "FORMAT",
    "TEMPO_COUNT",
    "TempoTracker",
    "Vocabulary",
    "load_vocabulary",
    "tempo_class",
    "tempo_of_class",
    "vocabulary_hash",
]

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Token ids by kind. Every kind is one contiguous range, in ascending musical order."""

    tokens: tuple[str, ...]
    hash: str
    pad: int
    bos: int
    eos: int
    bar: int
    pitch: range  # LOWEST_PITCH ... HIGHEST_PITCH
    velocity: range  # 32 classes
    duration: range  # 1 ... LONGEST_STEPS steps
    position: range  # 0 ... 95 steps from the bar line
    meter: range  # in the order of METERS
    tempo: range  # in classes, slowest first
    pedal: range  # off, on: reserved until there is data with pedal
    reserved: range  # styles and controls to come
    velocities: tuple[int, ...]  # the velocity of each class

    def __len__(self) -> int:
        return len(self.tokens)

    def pitch_id(self, pitch: int) -> int:
        return self._id(self.pitch, pitch - LOWEST_PITCH, "pitch", pitch)

    def velocity_id(self, velocity: int) -> int:
        """Id of the nearest velocity class; of two equally near, the louder."""
        if not 1 <= velocity <= 127:
            raise TokenError(f"velocity: got {velocity}, expected 1 to 127")
        return self.velocity.start + _velocity_class(velocity)

    def duration_id(self, steps: int) -> int:
        """Id of a duration in steps; longer than the longest counts as the longest."""
        return self._id(self.duration, min(steps, LONGEST_STEPS) - 1, "duration", steps)

    def position_id(self, steps: int) -> int:
        return self._id(self.position, steps, "position", steps)

    def meter_id(self, meter: Meter) -> int:
        return self.meter.start + METERS.index(meter)

    def tempo_id(self, tempo_bpm: float) -> int:
        """Id of the nearest tempo class, without hysteresis."""
        return self.tempo.start + tempo_class(tempo_bpm)

    def reserved_id(self, number: int) -> int:
        return self._id(self.reserved, number, "reserved", number)

    def _id(self, ids: range, offset: int, what: str, got: int) -> int:
        if not 0 <= offset < len(ids):
            first, last = self.tokens[ids.start], self.tokens[ids.stop - 1]
            raise TokenError(f"{what}: got {got}, the vocabulary holds {first} to {last}")
        return ids.start + offset


@cache
def _velocity_class(velocity: int) -> int:
    velocities = load_vocabulary().velocities
    return min(range(len(velocities)), key=lambda i: (abs(velocities[i] - velocity), -i))


def vocabulary_hash(tokens: list[str]) -> str:
    """SHA-256 over everything that gives an id its meaning, as 64 hex digits."""
    text = json.dumps([FORMAT, STEPS_PER_BEAT, tokens], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def load_vocabulary() -> Vocabulary:
    """The vocabulary shipped with the package. Raises TokenError when the file was altered."""
    text = resources.files(__package__).joinpath("vocabulary.json").read_text(encoding="utf-8")
    data = json.loads(text)
    tokens = data["tokens"]
    if data["format"] != FORMAT or data["hash"] != vocabulary_hash(tokens):
        raise TokenError("vocabulary.json: format or hash differ; reinstall the package")
    kinds = [token.split("_")[0] for token in tokens]

    def ids(kind: str) -> range:
        first = kinds.index(kind)
        return range(first, first + kinds.count(kind))

    return Vocabulary(
        tokens=tuple(tokens),
        hash=data["hash"],
        pad=kinds.index("PAD"),
        bos=kinds.index("BOS"),
        eos=kinds.index("EOS"),
        bar=kinds.index("Bar"),
        pitch=ids("Pitch"),
        velocity=ids("Velocity"),
        duration=ids("Duration"),
        position=ids("Position"),
        meter=ids("TimeSig"),
        tempo=ids("Tempo"),
        pedal=ids("Pedal"),
        reserved=ids("Reserved"),
        velocities=tuple(int(tokens[i].split("_")[1]) for i in ids("Velocity")),
    )
