"""Where the bars are: beats to bars and back, under meters that change."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rwkv_music.music import Meter

# A beat that a filter gives a hair before a bar line is meant to be on it.
_ON_THE_LINE_BEATS = 1e-6
# Hosts tell a meter when they are in it, some hundredths of a second after the line.
LATE_BEATS = 1.0


@dataclass(frozen=True, slots=True)
class BarSpan:
    """One bar: its number, where it starts, and its meter."""

    number: int
    start_beat: float
    meter: Meter

    @property
    def end_beat(self) -> float:
        return self.start_beat + self.meter.beats


class MeterMap:
    """Bars counted from beat 0, each meter holding until the next begins.

    A jump of the position restarts the map: what was played before it says nothing about the bars
    around the new place. They are numbered as if the present meter had held from beat 0 on, or as a
    host says that they are.
    """

    def __init__(self, meter: Meter) -> None:
        self._spans = [BarSpan(0, 0.0, meter)]  # the first bar under each meter

    @property
    def latest(self) -> Meter:
        """The meter that will hold in the end."""
        return self._spans[-1].meter

    def restart(self, bar: BarSpan | None = None) -> None:
        """Forget all bars; `bar` is one that is known, and all others are like it."""
        self._spans = [bar or BarSpan(0, 0.0, self.latest)]

    def has_line_of(self, bar: BarSpan) -> bool:
        """Whether that bar begins where it is thought to begin, whatever its meter."""
        return abs(self.bar(bar.number).start_beat - bar.start_beat) <= _ON_THE_LINE_BEATS

    def change(self, meter: Meter, beat: float, at_once: bool = False) -> None:
        """Let `meter`, told at `beat`, hold from the next bar line on; within the first beat of a
        bar, or `at_once`, from the line of that bar."""
        bar = self.bar_at(beat)
        line, number = bar.start_beat, bar.number
        if not at_once and beat - line >= LATE_BEATS - _ON_THE_LINE_BEATS:
            line, number = bar.end_beat, bar.number + 1
        if number < 0:
            line, number = 0.0, 0  # beat 0 is a bar line whatever is counted in before it
        kept = [span for span in self._spans if span.number < number]
        if not kept and 0 <= bar.number < number:
            kept = [bar]  # we are before the first that is known; it goes on to its end
        if not kept or kept[-1].meter != meter:
            kept.append(BarSpan(number, line, meter))
        self._spans = kept

    def bar_at(self, beat: float) -> BarSpan:
        """The bar that holds `beat`; a bar line belongs to the bar that it opens."""
        beat += _ON_THE_LINE_BEATS
        # Changes are few and mostly asked about near the end.
        span = next((s for s in reversed(self._spans) if s.start_beat <= beat), self._spans[0])
        bars = math.floor((beat - span.start_beat) / span.meter.beats)
        return BarSpan(span.number + bars, span.start_beat + bars * span.meter.beats, span.meter)

    def beat_of(self, bar: int, beat: float) -> float:
        """A place told in bars and the meter's own beats, both counted from 1."""
        span = self.bar(bar - 1)
        return span.start_beat + (beat - 1) * 4 / span.meter.denominator

    def bar(self, number: int) -> BarSpan:
        """The bar of that number; bars before the start have negative ones."""
        span = next((s for s in reversed(self._spans) if s.number <= number), self._spans[0])
        bars = number - span.number
        return BarSpan(number, span.start_beat + bars * span.meter.beats, span.meter)
