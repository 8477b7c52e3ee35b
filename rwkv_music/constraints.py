"""What a completion keeps to besides the grammar: key, range, voices, density, repetition.

The grammar always holds. A constraint only narrows it; when nothing is left, the set of
constraints that costs least is broken (COSTS) and counted, so that generation never fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import log

import numpy as np
from numpy.typing import NDArray

from .keys import estimate_tonic, scale_classes, tonic_of
from .music import HIGHEST_PITCH, LOWEST_PITCH, Note
from .sampling import Sampling, draw
from .timebase import round_half_up
from .tokenizer import BarGrammar, Vocabulary
from .tokenizer.grammar import NEXT, PITCH, POSITION, VELOCITY

Beginning = tuple[tuple[int, int], ...]  # (onset in steps from the bar line, pitch) of first notes
BEGINNING_NOTES = 4  # so many first notes alike make two completions begin alike
Mask = NDArray[np.bool_]
Scores = NDArray[np.float32]

COSTS = {"polyphony": 1, "key": 2, "pitch_range": 4}  # of breaking each of them
_REPAIRS = sorted(
    (names for size in (1, 2, 3) for names in combinations(COSTS, size)),
    key=lambda names: sum(COSTS[name] for name in names),
)
_THINNEST = 1e-3  # density 0 counts as this: the odds of an onset cannot be nothing
_FORGETTING = 0.85  # of a pitch's weight in repetition_penalty, with every note


class Constraints:
    """The wishes of one completion and what must be remembered to keep them.

    One object for all bars of a completion, told of each bar (`open_bar`) and note (`sound`).
    `heard` is how long each pitch class sounded (`keys.pitch_class_weights`), for `key auto`;
    `avoid` are beginnings of other completions, of which the last pitch is not taken when all
    before it was the same.

    - key, scale, pitch_low, pitch_high: other pitches are masked.
    - polyphony: no onset while so many of the completion's notes sound, also from earlier bars.
    - density: the odds of an onset at each step, and of a further chord tone, times this; what is
      left goes to later steps and to the end of the bar. 1 leaves the model's own odds.
    - velocity_scale: the velocity drawn, times this, as its nearest class. The model hears what
      it plays, so that over many bars it may follow.
    - repetition_penalty: divides a pitch's probability by penalty^weight; the weight grows by 1
      with every such note and fades by 15 % with each note. How many chord tones there are stays.
    """

    def __init__(
        self,
        sampling: Sampling,
        heard: Sequence[float] | None = None,
        avoid: Sequence[Beginning] = (),
    ) -> None:
        self.sampling = sampling
        self.broken: Counter[str] = Counter()
        self._in_range = np.zeros(HIGHEST_PITCH - LOWEST_PITCH + 1, np.bool_)
        low, high = sorted((sampling.pitch_low, sampling.pitch_high))
        self._in_range[max(low - LOWEST_PITCH, 0) : high - LOWEST_PITCH + 1] = True
        self._in_key = np.ones_like(self._in_range)
        tonic = _tonic(sampling, heard)
        if tonic is not None:
            classes = scale_classes(tonic, sampling.scale)
            pitches = range(LOWEST_PITCH, HIGHEST_PITCH + 1)
            self._in_key[:] = [pitch % 12 in classes for pitch in pitches]
        self._masks = not (self._in_range.all() and self._in_key.all() and sampling.polyphony <= 0)
        self._avoid = tuple(beginning for beginning in avoid if beginning)
        self._begun: list[tuple[int, int]] = []  # our own first notes, as long as it matters
        self._ends: dict[int, int] = {}  # sounding pitch -> its end, in steps from the bar line
        self._recent = np.zeros(len(self._in_range), np.float32)
        self._bar_steps = 0

    def open_bar(self, steps: int) -> None:
        """The next bar is `steps` long."""
        ends = {pitch: end - self._bar_steps for pitch, end in self._ends.items()}
        self._ends = {pitch: end for pitch, end in ends.items() if end > 0}
        self._bar_steps = steps

    def sound(self, note: Note) -> None:
        """The completion has a note more in the open bar."""
        if self._avoid and len(self._begun) < BEGINNING_NOTES:
            self._begun.append((note.onset, note.pitch))
        self._ends[note.pitch] = note.end  # a pitch struck again ends its earlier note
        self._recent *= np.float32(_FORGETTING)
        self._recent[note.pitch - LOWEST_PITCH] += 1

    def choose(
        self,
        logits: Scores,
        grammar: BarGrammar,
        vocabulary: Vocabulary,
        rng: np.random.Generator,
    ) -> int:
        """The next id of the bar. Uses one random number."""
        allowed = grammar.allowed()
        if grammar.stage in (POSITION, PITCH, NEXT):
            if self._avoid:
                allowed = self._differing(allowed, grammar, vocabulary)
            if self._masks:
                allowed = self._narrowed(allowed, grammar, vocabulary)
            scores = self._weighed(logits, allowed, grammar, vocabulary)
            return draw(scores, allowed, self.sampling, rng)
        token = draw(logits, allowed, self.sampling, rng)
        if grammar.stage == VELOCITY and self.sampling.velocity_scale != 1:
            velocity = vocabulary.velocities[token - vocabulary.velocity.start]
            scaled = round_half_up(velocity * self.sampling.velocity_scale)
            return vocabulary.velocity_id(min(max(scaled, 1), 127))
        return token

    def _differing(self, allowed: Mask, grammar: BarGrammar, v: Vocabulary) -> Mask:
        """The mask without the pitch that would make the beginning the same as one to avoid; when
        that is all that is left, the mask as it was."""
        left = allowed.copy()
        for beginning in self._avoid:
            *before, (onset, pitch) = beginning
            if self._begun == before and grammar.position == onset:
                left[v.pitch_id(pitch)] = False
        return left if left.any() else allowed

    def _narrowed(self, allowed: Mask, grammar: BarGrammar, v: Vocabulary) -> Mask:
        """The mask without what the constraints forbid, the cheapest of them broken if needed."""
        forbidden = {"pitch_range": np.zeros_like(allowed), "key": np.zeros_like(allowed)}
        forbidden["pitch_range"][v.pitch.start : v.pitch.stop] = ~self._in_range
        forbidden["key"][v.pitch.start : v.pitch.stop] = ~self._in_key
        if self.sampling.polyphony > 0 and grammar.stage != PITCH:
            forbidden["polyphony"] = self._voices_taken(allowed, grammar, v)
        for broken in ((), *_REPAIRS):
            left = allowed.copy()
            for name, mask in forbidden.items():
                if name not in broken:
                    left &= ~mask
            if left.any():
                self.broken.update(broken)
                return left
        return allowed

    def _voices_taken(self, allowed: Mask, grammar: BarGrammar, v: Vocabulary) -> Mask:
        """Where an onset would be one voice too many."""
        taken = np.zeros_like(allowed)
        ends = sorted(self._ends.values(), reverse=True)
        if len(ends) >= self.sampling.polyphony:
            free_from = ends[self.sampling.polyphony - 1]
            taken[v.position.start : v.position.start + max(free_from, 0)] = True
            taken[v.pitch.start : v.pitch.stop] = grammar.position < free_from
        return taken

    def _weighed(self, logits: Scores, allowed: Mask, grammar: BarGrammar, v: Vocabulary) -> Scores:
        """Logits with the repetition penalty and the density in them."""
        repeats = self.sampling.repetition_penalty > 1 and grammar.stage != POSITION
        thins = self.sampling.density != 1 and grammar.stage != PITCH
        if not repeats and not thins:
            return logits
        logits = logits.copy()
        if repeats:
            chord = slice(v.pitch.start, v.pitch.stop)
            before = _log_sum(logits[chord], allowed[chord])
            logits[chord] -= np.float32(log(self.sampling.repetition_penalty)) * self._recent
            logits[chord] += np.float32(before - _log_sum(logits[chord], allowed[chord]))
        if thins:
            self._thin(logits, allowed, v)
        return logits

    def _thin(self, logits: Scores, allowed: Mask, v: Vocabulary) -> None:
        """Multiply the odds of going on by the density, at the chord and then at each position.

        With m_i the model's probability that the next onset is the i-th possible one (0: a further
        tone of this chord) and T_i that it comes later or not in this bar, the odds m_i : T_i
        become d m_i : T_i. The bar's end keeps the probability that no step took.
        """
        d = max(self.sampling.density, _THINNEST)
        chord = slice(v.pitch.start, v.pitch.stop)
        places = np.flatnonzero(allowed[v.position.start : v.position.stop]) + v.position.start
        chord_score = _log_sum(logits[chord], allowed[chord])
        scores = np.array([chord_score, *logits[places], logits[v.bar]], np.float64)
        scores -= scores.max()
        masses = np.exp(scores)
        later = np.cumsum(masses[:0:-1])[::-1] + 1e-300  # never zero: its logarithm is taken
        sums = np.log(d * masses[:-1] + later)
        reached = np.cumsum(np.log(later) - sums)  # log of the odds that no step up to i was taken
        scores[:-1] += log(d) - sums
        scores[1:-1] += reached[:-1]
        logits[chord] += np.float32(scores[0] - chord_score)
        logits[places] = scores[1:-1]
        logits[v.bar] = reached[-1]


def _tonic(sampling: Sampling, heard: Sequence[float] | None) -> int | None:
    if sampling.key == "none":
        return None
    if sampling.key == "auto":
        return None if heard is None else estimate_tonic(heard, sampling.scale)
    return tonic_of(sampling.key)


def _log_sum(logits: Scores, allowed: Mask) -> float:
    """log of the sum of exp over what is allowed; very low when that is nothing."""
    chosen = logits[allowed].astype(np.float64)
    if not len(chosen):
        return -1e4
    top = chosen.max()
    return float(top + np.log(np.exp(chosen - top).sum()))
