"""Token ids back to music, one id at a time: a note comes out with its last token."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import TokenError
from ..music import LOWEST_PITCH, METERS, Bar, Meter, Note, Phrase
from .vocabulary import Vocabulary, load_vocabulary, tempo_of_class


@dataclass(frozen=True, slots=True)
class BarLine:
    """A header has been read: a new bar is open."""

    meter: Meter
    tempo_bpm: float


@dataclass(slots=True)
class Decoder:
    """Push ids, pull bar lines and notes. Raises TokenError at the first id that cannot follow.

    Where the Grammar prevents wrong ids, the Decoder detects them: it reads tokens that come
    from outside (a data set, another program). BOS before the first bar is passed over.
    """

    vocabulary: Vocabulary = field(default_factory=load_vocabulary)
    _expects: str = "Bar"
    _meter: Meter = METERS[0]
    _position: int = -1
    _pitch: int = -1
    _velocity: int = 0

    def push(self, token: int) -> BarLine | Note | None:
        """What the id completes, if anything."""
        v = self.vocabulary
        if not 0 <= token < len(v):
            raise TokenError(f"token id: got {token}, the vocabulary has {len(v)}")
        if token == v.bar and self._expects in ("Bar", "Position", "Next"):
            self._expects, self._position = "TimeSig", -1
        elif self._expects == "Bar" and token == v.bos:
            pass
        elif self._expects == "TimeSig" and token in v.meter:
            self._meter, self._expects = METERS[token - v.meter.start], "Tempo"
        elif self._expects == "Tempo" and token in v.tempo:
            self._expects = "Position"
            return BarLine(self._meter, tempo_of_class(token - v.tempo.start))
        elif self._expects in ("Position", "Next") and token in v.position:
            position = token - v.position.start
            if not self._position < position < self._meter.steps:
                self._refuse(token)
            self._position, self._pitch, self._expects = position, -1, "Pitch"
        elif self._expects in ("Pitch", "Next") and token in v.pitch:
            pitch = token - v.pitch.start + LOWEST_PITCH
            if pitch <= self._pitch:
                self._refuse(token)
            self._pitch, self._expects = pitch, "Velocity"
        elif self._expects == "Velocity" and token in v.velocity:
            self._velocity, self._expects = v.velocities[token - v.velocity.start], "Duration"
        elif self._expects == "Duration" and token in v.duration:
            self._expects = "Next"
            duration = token - v.duration.start + 1
            return Note(self._position, self._pitch, self._velocity, duration)
        else:
            self._refuse(token)
        return None

    @property
    def at_rest(self) -> bool:
        """Whether the music may end here: no header and no note is half read."""
        return self._expects in ("Bar", "Position", "Next")

    def _refuse(self, token: int) -> None:
        expected = "Position, Pitch or Bar" if self._expects == "Next" else self._expects
        raise TokenError(
            f"token {self.vocabulary.tokens[token]!r} cannot stand here: expected {expected}"
            f" (position {self._position}, pitch {self._pitch}, meter {self._meter})"
        )


def decode_phrase(tokens: Iterable[int], vocabulary: Vocabulary | None = None) -> Phrase:
    """Whole bars from ids. Raises TokenError where they are no music."""
    decoder = Decoder(vocabulary or load_vocabulary())
    bars: list[Bar] = []
    notes: list[Note] = []
    for token in tokens:
        event = decoder.push(token)
        if isinstance(event, BarLine):
            if bars:
                bars[-1] = Bar(bars[-1].meter, bars[-1].tempo_bpm, tuple(notes))
            bars.append(Bar(event.meter, event.tempo_bpm))
            notes = []
        elif event is not None:
            notes.append(event)
    if not decoder.at_rest:
        raise TokenError("the tokens end in the middle of a header or a note")
    if bars:
        bars[-1] = Bar(bars[-1].meter, bars[-1].tempo_bpm, tuple(notes))
    return tuple(bars)
