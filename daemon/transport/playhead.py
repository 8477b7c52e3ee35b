"""Where the music is, whoever leads it: it runs along a line, jumps, or stands still. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .changes import Change, Located, Started, Stopped
from .timeline import Line, Timeline

_BENT_BEATS = 0.25  # a break of the position smaller than this is bent, not jumped
_LOST_BEATS = 1.0  # a larger one is never bent, whoever led us there


class Playhead:
    """Told which line to run along; says in beats where that leads.

    `breaks` is called with beat and moment where the position is not what it was or would have
    been, for bars must be counted anew there; then `changed` hears of that, as of starts and stops.
    """

    def __init__(
        self,
        line: Line,
        breaks: Callable[[float, int], None],
        changed: Callable[[Change], None],
    ) -> None:
        self.playing = False
        self._timeline = Timeline(line)
        self._followed = line  # what it was told last, towards which the timeline bends
        self._beat = 0.0  # where it stands while it does not play
        self._stopped_ns = 0
        self._breaks = breaks
        self._changed = changed

    def beat_at(self, t_ns: int) -> float:
        """The position at a moment, past or to come, as far as is known now."""
        if not self.playing and t_ns >= self._stopped_ns:
            return self._beat
        return self._timeline.beat_at(t_ns)

    def ns_at(self, beat: float) -> int:
        """When it will be, or was, that beat. While stopped: as if it had run on."""
        return self._timeline.ns_at(beat)

    def is_off(self, beat: float, t_ns: int) -> bool:
        """Whether the way from here to `beat` is too far to be bent."""
        return abs(beat - self.beat_at(t_ns)) > _BENT_BEATS

    def is_lost(self, beat: float, t_ns: int) -> bool:
        """Whether the way to `beat` is so far that bending would take bars."""
        return abs(beat - self.beat_at(t_ns)) > _LOST_BEATS

    def follow(self, line: Line, t_ns: int) -> None:
        """Run along that line: at once after standing still, else bent towards it."""
        if not self.playing:
            self._start(line, t_ns)
        elif line != self._followed:
            self._timeline.follow(line, t_ns)
        self._followed = line

    def locate(self, line: Line, t_ns: int) -> None:
        """Be on that line from now on, wherever that is."""
        self._followed = line
        self._timeline.jump(line)
        beat = line.beat_at(t_ns)
        self._breaks(beat, t_ns)
        self._changed(Located(beat))

    def halt(self, t_ns: int) -> None:
        """Stand still here."""
        if self.playing:
            self._beat, self._stopped_ns = self._timeline.beat_at(t_ns), t_ns
            self.playing = False
            self._changed(Stopped(self._beat))

    def stand_at(self, beat: float, t_ns: int) -> None:
        """Stand there instead. For a playhead that does not play."""
        moves = abs(beat - self._beat) > _BENT_BEATS
        self._beat = beat
        if moves:
            self._breaks(beat, t_ns)
            self._changed(Located(beat))

    def _start(self, line: Line, t_ns: int) -> None:
        beat = line.beat_at(t_ns)
        if abs(beat - self._beat) > _BENT_BEATS:
            self._breaks(beat, t_ns)
        self._timeline.jump(line)
        self.playing = True
        self._changed(Started(beat))
