"""Beats over time: straight lines, joined without a jump."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

_KNOTS = 128  # several seconds of corrections, more than anything heard is late by
_SLEW_NS = 60_000_000.0
_FASTEST = 1.5  # a correction runs at most this much faster, or slower, than the music


@dataclass(frozen=True, slots=True)
class Line:
    """A steady tempo: at `t_ns` it is `beat`, and a beat takes `ns_per_beat`."""

    t_ns: int
    beat: float
    ns_per_beat: float

    def beat_at(self, t_ns: int) -> float:
        return self.beat + (t_ns - self.t_ns) / self.ns_per_beat

    def ns_at(self, beat: float) -> float:
        return self.t_ns + (beat - self.beat) * self.ns_per_beat


class Timeline:
    """A rising, continuous curve of beats over nanoseconds, which is bent towards better
    knowledge and breaks only at a `jump`."""

    def __init__(self, line: Line) -> None:
        self._lines = [line]  # each holds from its own t_ns to the next one's

    @property
    def line(self) -> Line:
        """The tempo that holds in the end."""
        return self._lines[-1]

    def jump(self, line: Line) -> None:
        """Be on `line`, and forget what was before."""
        self._lines = [line]

    def follow(self, line: Line, t_ns: int) -> None:
        """Bend from where the curve is at `t_ns` until it runs along `line`."""
        t_ns = max(t_ns, self._lines[0].t_ns)
        beat = self.beat_at(t_ns)
        while len(self._lines) > 1 and self._lines[-1].t_ns >= t_ns:
            self._lines.pop()
        error = line.beat_at(t_ns) - beat
        behind_ns = error * line.ns_per_beat
        slew_ns = max(_SLEW_NS, abs(behind_ns) / (1 - 1 / _FASTEST))
        if abs(behind_ns) > 1:
            ends_ns = t_ns + round(slew_ns)
            rise = line.beat_at(ends_ns) - beat
            self._put(Line(t_ns, beat, (ends_ns - t_ns) / rise))
            self._put(Line(ends_ns, beat + rise, line.ns_per_beat))
        else:
            self._put(Line(t_ns, beat, line.ns_per_beat))
        del self._lines[:-_KNOTS]

    def beat_at(self, t_ns: int) -> float:
        at = bisect_right(self._lines, t_ns, key=lambda line: line.t_ns)
        return self._lines[max(at - 1, 0)].beat_at(t_ns)

    def ns_at(self, beat: float) -> int:
        at = bisect_right(self._lines, beat, key=lambda line: line.beat)
        return round(self._lines[max(at - 1, 0)].ns_at(beat))

    def _put(self, line: Line) -> None:
        if self._lines[-1].t_ns == line.t_ns:
            self._lines[-1] = line
        else:
            self._lines.append(line)
