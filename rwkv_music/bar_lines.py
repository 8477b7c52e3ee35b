"""The bar lines of a file's time signatures, in exact integers.

A *unit* is a twelfth of a tick, so that a step is `ticks_per_beat` units and every bar line of a
supported meter falls on a whole unit, whatever the resolution of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .errors import MidiFileError, TokenError
from .music import STEPS_PER_BEAT, Meter

MOST_BARS = 20_000


@dataclass(frozen=True, slots=True)
class Signature:
    """A time signature event."""

    tick: int
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True)
class BarLine:
    """Where a bar starts and ends, in units. meter is None where none has a token."""

    unit: int
    end_unit: int
    meter: Meter | None
    written: str  # the signature in the file


def meter_of(numerator: int, denominator: int) -> Meter | None:
    """The supported meter with a bar of that length, spelled as near to the signature as can be:
    2/2 is 4/4, 6/16 is 3/8."""
    return _spelled(numerator, denominator, denominator)


def bar_lines(signatures: Iterable[Signature], tpq: int, last_onset_tick: int) -> list[BarLine]:
    """The bars up to the one in which an onset at that tick starts, after rounding.

    A bar starts at every signature. Where that cuts the bar before it short, what is left of it
    is a bar in the meter of its own length (a pick-up of one beat is a bar of 1/4); what is less
    than half a step is no bar at all. Raises MidiFileError.
    """
    lines: list[BarLine] = []
    if last_onset_tick < 0:
        return lines
    for line in _all_lines(_in_order(signatures), tpq):
        if lines and 2 * (lines[-1].end_unit - last_onset_tick * STEPS_PER_BEAT) > tpq:
            break
        if len(lines) == MOST_BARS:
            raise MidiFileError(
                f"its last note, at tick {last_onset_tick}, lies beyond bar {MOST_BARS}"
            )
        lines.append(line)
    return lines


def _in_order(signatures: Iterable[Signature]) -> list[Signature]:
    """By tick, the last of several on one tick, 4/4 until the first."""
    by_tick = {0: Signature(0, 4, 4)}
    for signature in signatures:
        n, d = signature.numerator, signature.denominator
        if n < 1 or d < 1 or signature.tick < 0:
            raise MidiFileError(f"tick {signature.tick}: time signature {n}/{d}")
        by_tick[signature.tick] = signature
    return [by_tick[tick] for tick in sorted(by_tick)]


def _all_lines(signatures: list[Signature], tpq: int) -> Iterator[BarLine]:
    """Bar lines without end."""
    for number, signature in enumerate(signatures):
        start = signature.tick * STEPS_PER_BEAT
        last = number + 1 == len(signatures)
        stop = None if last else signatures[number + 1].tick * STEPS_PER_BEAT
        whole = signature.numerator * 4 * STEPS_PER_BEAT * tpq  # times the denominator
        meter = meter_of(signature.numerator, signature.denominator)
        written = f"{signature.numerator}/{signature.denominator}"
        count = 0
        while True:
            unit = start + count * whole // signature.denominator
            end = start + (count + 1) * whole // signature.denominator
            count += 1
            if stop is None or 2 * (stop - end) >= tpq:
                yield BarLine(unit, end, meter, written)
                continue
            if 2 * (end - stop) > tpq:  # cut short
                steps = (2 * (stop - unit) + tpq) // (2 * tpq)
                if steps:
                    cut = _spelled(steps, 4 * STEPS_PER_BEAT, signature.denominator)
                    yield BarLine(unit, stop, cut, f"{written}, cut to {steps} steps")
            else:
                yield BarLine(unit, stop, meter, written)
            break


def _spelled(numerator: int, denominator: int, near: int) -> Meter | None:
    """The supported meter of a length in whole notes, in the denominator `near` if it can be."""
    for target in (near, 4, 8) if near < 8 else (near, 8, 4):
        if numerator * target % denominator == 0:
            try:
                return Meter(numerator * target // denominator, target)
            except TokenError:
                continue
    return None
