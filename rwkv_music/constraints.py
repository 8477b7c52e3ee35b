"""What a completion keeps to besides the grammar: key, range, voices, density, repetition.

The grammar always holds. A constraint only narrows it; when nothing is left, the set of
constraints that costs least is broken (COSTS) and counted, so that generation never fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import log

import numpy as np
from numpy.typing import NDArray

from .keys import heard_tonic, scale_classes, tonic_of
from .music import HIGHEST_PITCH, LOWEST_PITCH, Note
from .sampling import UNCHANGED, Odds, Sampling, draw
from .timebase import round_half_up
from .tokenizer import BarGrammar, Vocabulary
from .tokenizer.grammar import NEXT, PITCH, POSITION, VELOCITY, Ranges

Beginning = tuple[tuple[int, int], ...]  # (onset in steps from the bar line, pitch) of first notes
BEGINNING_NOTES = 4  # so many first notes alike make two completions begin alike
Kept = NDArray[np.bool_]  # of the pitches, from the lowest on
Scores = NDArray[np.float32]

COSTS = {"novelty": 1, "polyphony": 2, "key": 4, "pitch_range": 8}  # of breaking each of them
_REPAIRS = sorted(
    (names for size in range(1, len(COSTS) + 1) for names in combinations(COSTS, size)),
    key=lambda names: sum(COSTS[name] for name in names),
)
_THINNEST = 1e-3  # density 0 counts as this: the odds of an onset cannot be nothing
_FORGETTING = 0.85  # of a pitch's weight in repetition_penalty, with every note


class Constraints:
    """The wishes of one completion and what must be remembered to keep them.

    One object for all bars of a completion, told of each bar (`open_bar`) and note (`sound`).
    `heard` is how long each pitch class sounded (`keys.pitch_class_weights`), for `key auto`;
    `avoid` are beginnings of other completions, of which the last pitch is not taken when all
    before it was the same, if there is another one that all constraints allow (novelty).

    - key, scale, pitch_low, pitch_high: other pitches are masked.
    - polyphony: no onset while so many of the completion's notes sound, also from earlier bars.
    - density: the odds of an onset at each step, and of a further chord tone, times this; what is
      left goes to later steps and to the end of the bar. 1 leaves the model's own odds.
    - top_p leaves the velocities alone: a rare one is no mistake, and without them a completion
      has half of the light and shade of what it continues.
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
        self._uncut = replace(sampling, top_p=1.0)
        self.broken: Counter[str] = Counter()
        pitches = np.arange(LOWEST_PITCH, HIGHEST_PITCH + 1)
        low, high = sorted((sampling.pitch_low, sampling.pitch_high))
        keeping = {"pitch_range": (pitches >= low) & (pitches <= high)}
        tonic = _tonic(sampling, heard)
        if tonic is not None:
            keeping["key"] = np.isin(pitches % 12, list(scale_classes(tonic, sampling.scale)))
        # What follows the notes so far in what is to be avoided, by those notes.
        self._avoid: dict[Beginning, list[tuple[int, int]]] = {}
        for *before, last in filter(None, avoid):
            self._avoid.setdefault(tuple(before), []).append(last)
        others = {"polyphony": sampling.polyphony > 0, "novelty": bool(self._avoid)}
        held = {*keeping, *(name for name, holds in others.items() if holds)}
        self._attempts = list(_attempts(keeping, held))
        self._begun: list[tuple[int, int]] = []  # our own first notes, as long as it matters
        self._ends: dict[int, int] = {}  # sounding pitch -> its end, in steps from the bar line
        self._recent = np.zeros(len(pitches))
        self._log_penalty = log(max(sampling.repetition_penalty, 1.0))
        self._density = max(sampling.density, _THINNEST)
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
        if self._log_penalty:
            self._recent *= _FORGETTING
            self._recent[note.pitch - LOWEST_PITCH] += 1

    def choose(
        self,
        logits: Scores,
        grammar: BarGrammar,
        vocabulary: Vocabulary,
        rng: np.random.Generator,
    ) -> int:
        """The next id of the bar. Uses one random number."""
        u = rng.random()
        if grammar.stage in (POSITION, PITCH, NEXT):
            return self._choose_onset(logits, grammar, vocabulary, u)
        loudness = grammar.stage == VELOCITY
        sampling = self._uncut if loudness else self.sampling
        token = draw(logits, grammar.ranges(), UNCHANGED, sampling, u)
        if loudness and self.sampling.velocity_scale != 1:
            velocity = vocabulary.velocities[token - vocabulary.velocity.start]
            scaled = round_half_up(velocity * self.sampling.velocity_scale)
            return vocabulary.velocity_id(min(max(scaled, 1), 127))
        return token

    def _choose_onset(self, logits: Scores, grammar: BarGrammar, v: Vocabulary, u: float) -> int:
        """A position, a pitch or the end of the bar; of the constraints, the cheapest that must be
        is broken."""
        ranges = free = grammar.ranges()
        if self.sampling.polyphony > 0 and grammar.stage != PITCH:
            free = self._free(ranges, grammar.position, v)
        same = self._same_again(grammar.position) if self._avoid else []
        recent = self._recent if self._log_penalty and grammar.stage != POSITION else None
        density = self._density if grammar.stage != PITCH else 1.0
        token = -1
        for broken, kept in self._attempts:
            if same and "novelty" not in broken:
                kept = np.ones(len(self._recent), np.bool_) if kept is None else kept.copy()
                kept[same] = False
            left = ranges if "polyphony" in broken else free
            odds = Odds(kept, recent, v.pitch.start, self._log_penalty, density)
            token = draw(logits, left, odds, self.sampling, u)
            if token >= 0:
                if broken:
                    self.broken.update(broken)
                break
        return token

    def _same_again(self, position: int) -> list[int]:
        """Pitches, from the lowest on, that would make the beginning the same as one to avoid."""
        last = self._avoid.get(tuple(self._begun), ())
        return sorted({pitch - LOWEST_PITCH for onset, pitch in last if onset == position})

    def _free(self, ranges: Ranges, position: int, v: Vocabulary) -> Ranges:
        """The ranges without the places where an onset would be one voice too many."""
        ends = sorted(self._ends.values(), reverse=True)
        if len(ends) < self.sampling.polyphony:
            return ranges
        free_from = ends[self.sampling.polyphony - 1]
        now, now_stop, later, later_stop, end, may_end = ranges
        if position < free_from:
            now_stop = now
        later = min(max(later, v.position.start + free_from), later_stop)
        return Ranges(now, now_stop, later, later_stop, end, may_end)


def _attempts(
    keeping: Mapping[str, Kept], held: Collection[str]
) -> Iterator[tuple[tuple[str, ...], Kept | None]]:
    """What is broken of the constraints `held`, and the pitches that are left then: nothing at
    first, at last everything."""
    for broken in ((), *_REPAIRS):
        if not set(broken) <= set(held):
            continue
        kept = np.logical_and.reduce(
            [mask for name, mask in keeping.items() if name not in broken]
            or [np.ones(HIGHEST_PITCH - LOWEST_PITCH + 1, np.bool_)]
        )
        yield broken, None if kept.all() else kept


def _tonic(sampling: Sampling, heard: Sequence[float] | None) -> int | None:
    if sampling.key == "none":
        return None
    if sampling.key == "auto":
        return heard_tonic(heard, sampling.scale)
    return tonic_of(sampling.key)
