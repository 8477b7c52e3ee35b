"""OSC as a source: position and tempo as a bridge in the DAW tells them, some times a second."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from statistics import median

from .timeline import Line

_WINDOW_NS = 2_000_000_000
_WINDOW = 64
_DEAD_NS = 2_000_000_000
_WITH_START_NS = 50_000_000  # before a start, a place told so late is where it begins
_PLACE_NS = 2_000_000_000  # how long a position in beats or bars counts more than one in seconds
_SURE_JUMP_BEATS = 1.0
_JUMP_BEATS, _JUMP_NS = 0.15, 100_000_000
_TRUSTED = 0.02  # a told tempo is believed while the positions agree to this
_JITTER_NS = 10_000_000
_UNTOLD = 0.1  # how well a tempo is known at first
_ADVANCING = 4  # positions in a row that show a DAW playing without having said so
_ADVANCE_GAP_NS = 300_000_000


class Osc:
    """A line through the positions told. Pure.

    Packets come late, never early, by as much as a screen refresh; so a single position that is a
    little off is not believed, one that is a beat off or confirmed by the next is a jump.
    """

    name = "osc"

    def __init__(self, tempo_bpm: float) -> None:
        self.running = False
        self.jumps = 0  # counts the breaks of the position
        self.beat = 0.0  # where it stands while it does not run
        self._line = Line(0, 0.0, 60e9 / tempo_bpm)
        self._told_ns_per_beat: float | None = None
        self._positions: deque[tuple[int, float]] = deque(maxlen=_WINDOW)
        self._doubt = _UNTOLD  # relative deviation of a measured slope
        self._stray: tuple[int, float] | None = None
        self._expected = False
        self._last_ns: int | None = None
        self._place_ns: int | None = None  # when a place was told last

    @property
    def tempo_bpm(self) -> float:
        return 60e9 / self._line.ns_per_beat

    def line(self, t_ns: int) -> Line:
        return self._line

    def alive(self, now_ns: int) -> bool:
        """Whether positions are coming."""
        return self._last_ns is not None and now_ns - self._last_ns <= _DEAD_NS

    def tells_start_later(self, now_ns: int) -> bool:
        """Whether a start has its place still to come: the host tells places, but none just now.
        REAPER tells one only when it changes, and at a pause that of its edit cursor."""
        return self._last_ns is not None and now_ns - self._last_ns > _WITH_START_NS

    def dead(self, now_ns: int) -> bool:
        """Whether positions were coming, and ceased in mid-play."""
        return self.running and bool(self._positions) and not self.alive(now_ns)

    def place(self, now_ns: int) -> float | None:
        """Where the host is; None while it says nothing."""
        if not self.alive(now_ns):
            return None
        return self._line.beat_at(now_ns) if self.running else self.beat

    def expect(self) -> None:
        """Run as soon as a position comes."""
        self._expected = True

    def play(self, beat: float, t_ns: int) -> None:
        self.jump(beat, t_ns)
        self.running, self._expected = True, False

    def stop(self, t_ns: int) -> None:
        if self.running:
            self.beat = self._line.beat_at(t_ns)
        self.running = self._expected = False
        self._positions.clear()

    def tempo(self, tempo_bpm: float, t_ns: int) -> None:
        self._told_ns_per_beat = 60e9 / tempo_bpm
        self._restart(self._line.beat_at(t_ns), t_ns)

    def knows_place(self, now_ns: int) -> bool:
        """Whether positions come that are right whatever the tempo has been."""
        return self._place_ns is not None and now_ns - self._place_ns <= _PLACE_NS

    def position(self, beat: float, t_ns: int, *, is_place: bool = True) -> None:
        """`is_place`: told as a place in the song, not as seconds since its start."""
        self._last_ns = t_ns
        if is_place:
            self._place_ns = t_ns
        if not self.running:
            self.beat = beat
            self._positions.append((t_ns, beat))
            if self._expected or self._advancing():
                self.play(beat, t_ns)
            return
        if self.is_jump(beat, t_ns):
            self.jump(beat, t_ns)
        elif self._is_off(beat - self._line.beat_at(t_ns)):
            self._stray = (t_ns, beat)
            return
        self._stray = None
        self._positions.append((t_ns, beat))
        self._fit(t_ns)

    def is_jump(self, beat: float, t_ns: int) -> bool:
        """Whether that position is believed not to be where the line leads."""
        off_beats = beat - self._line.beat_at(t_ns)
        sure = abs(off_beats) >= _SURE_JUMP_BEATS
        return self._is_off(off_beats) and (sure or self._confirms_stray(beat, t_ns))

    def jump(self, beat: float, t_ns: int) -> None:
        """Run from there, from now on."""
        self._restart(beat, t_ns)
        self.jumps += 1

    def _is_off(self, beats: float) -> bool:
        return abs(beats) > max(_JUMP_BEATS, _JUMP_NS / self._line.ns_per_beat)

    def _confirms_stray(self, beat: float, t_ns: int) -> bool:
        if self._stray is None:
            return False
        stray_ns, stray_beat = self._stray
        led_to = stray_beat + (t_ns - stray_ns) / self._line.ns_per_beat
        return not self._is_off(beat - led_to)

    def _restart(self, beat: float, t_ns: int) -> None:
        self._positions.clear()
        self._stray = None
        self._line = Line(t_ns, beat, self._told_ns_per_beat or self._line.ns_per_beat)

    def _advancing(self) -> bool:
        recent = list(self._positions)[-_ADVANCING:]
        if len(recent) < _ADVANCING:
            return False
        for (t_ns, beat), (later_ns, further) in pairwise(recent):
            led_to = (later_ns - t_ns) / self._line.ns_per_beat
            if not (0 < later_ns - t_ns < _ADVANCE_GAP_NS and 0.3 < (further - beat) / led_to < 3):
                return False
        (t_ns, beat), (later_ns, further) = recent[0], recent[-1]
        return 0.7 < (further - beat) * self._line.ns_per_beat / (later_ns - t_ns) < 1.4

    def _fit(self, t_ns: int) -> None:
        while t_ns - self._positions[0][0] > _WINDOW_NS:
            self._positions.popleft()
        ns_per_beat = self._slope()
        # When each position says that the line passed beat 0, counted from now.
        zero_ns = median(then - t_ns - beat * ns_per_beat for then, beat in self._positions)
        self._line = Line(t_ns, -zero_ns / ns_per_beat, ns_per_beat)

    def _slope(self) -> float:
        """Nanoseconds per beat: as told, unless the positions are sure to say otherwise."""
        told = self._told_ns_per_beat
        measured, doubt = self._measured()
        if told is not None and abs(measured / told - 1) < max(_TRUSTED, 3 * doubt):
            return told
        line = self._line.ns_per_beat
        if doubt < 2 * self._doubt or abs(measured / line - 1) > 3 * doubt:
            self._doubt = doubt
            return measured
        return line

    def _measured(self) -> tuple[float, float]:
        """The slope between the promptest position of either half, and its relative deviation.

        A line through all of them would follow those that came late, which can be many in a row.
        """
        half_ns = (self._positions[0][0] + self._positions[-1][0]) / 2
        promptest: list[tuple[int, float]] = []
        for half in (
            [p for p in self._positions if p[0] <= half_ns],
            [p for p in self._positions if p[0] > half_ns],
        ):
            if half:
                promptest.append(min(half, key=self._lateness_ns))
        if len(promptest) < 2 or promptest[1][1] <= promptest[0][1]:
            return self._line.ns_per_beat, math.inf
        (first_ns, first), (last_ns, last) = promptest
        return (last_ns - first_ns) / (last - first), _JITTER_NS / (last_ns - first_ns)

    def _lateness_ns(self, position: tuple[int, float]) -> float:
        """How late a position came, but for a constant, if the line is right."""
        t_ns, beat = position
        return t_ns - self._line.t_ns - (beat - self._line.beat) * self._line.ns_per_beat
