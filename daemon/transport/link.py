"""Ableton Link as a source: the tempo, the bars' phase, start and stop of a session of peers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .timeline import Line

_SAME_NS = 100_000.0  # less than this is the reading of two clocks, and moves nothing
_JUMP_BEATS = 0.25  # more than this is another session's place, not a better knowledge of ours
_ON_THE_LINE_BEATS = 1e-6


@dataclass(frozen=True, slots=True)
class LinkState:
    """What a session says of a moment. `beat` is this peer's own count; modulo `quantum`, a bar in
    beats, it is the same for all peers. `started_ns` is when playing begins, while it `plays`."""

    t_ns: int
    beat: float
    quantum: float
    tempo_bpm: float
    peers: int
    plays: bool = False
    started_ns: int = 0


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What the session is asked for at a moment: a tempo, to play or not to, beat 0 right then."""

    t_ns: int
    tempo_bpm: float | None = None
    plays: bool | None = None
    quantum: float | None = None  # of the bars of which beat 0 is to begin one


class AbletonLink:
    """Position and tempo as a session tells them. Pure.

    A session has bars, but no bar has a number: beat 0 is the bar line on which we began, with
    everybody where the session starts and stops together, else by ourselves. Until that line the
    position is negative.
    """

    name = "link"

    def __init__(self, tempo_bpm: float) -> None:
        self.running = False
        self.jumps = 0  # counts the breaks of the position
        self.peers = 0
        self.plays = False  # whether all who start and stop together play
        self._line = Line(0, 0.0, 60e9 / tempo_bpm)  # in the session's beats
        self._tempo_bpm = tempo_bpm
        self._quantum = 4.0
        self._zero = 0.0  # the session's beat that is our beat 0
        self._wishes: list[LinkWish] = []

    @property
    def tempo_bpm(self) -> float:
        return self._tempo_bpm

    @property
    def quantum(self) -> float | None:
        """The bar that the position rests on; None while it does not run."""
        return self._quantum if self.running else None

    @property
    def alive(self) -> bool:
        """Whether there are others in the session."""
        return self.peers > 0

    def line(self, t_ns: int) -> Line:
        return Line(self._line.t_ns, self._line.beat - self._zero, self._line.ns_per_beat)

    def take_wishes(self) -> list[LinkWish]:
        """What the session is to be asked for, in order."""
        wishes, self._wishes = self._wishes, []
        return wishes

    # --- told by the session ---

    def tell(self, state: LinkState) -> None:
        self.peers = state.peers
        self._follow(state)
        if state.plays and not self.plays:
            self._start_at(self._bar_line(state.started_ns))
        elif self.plays and not state.plays:
            self.running = False
        self.plays = state.plays

    def _follow(self, state: LinkState) -> None:
        line = Line(state.t_ns, state.beat, 60e9 / state.tempo_bpm)
        off_beats = state.beat - self._line.beat_at(state.t_ns)
        is_new = state.tempo_bpm != self._tempo_bpm or state.quantum != self._quantum
        if not is_new and abs(off_beats) * line.ns_per_beat < _SAME_NS:
            return
        self._line, self._tempo_bpm, self._quantum = line, state.tempo_bpm, state.quantum
        if self.running and abs(off_beats) > _JUMP_BEATS:
            self.jumps += 1

    # --- told by us ---

    def launch(self, t_ns: int) -> None:
        """Play from beat 0 on, at the first bar line from then on; alone, at once, and the session
        that others may join has its bar line there."""
        if self.alive:
            self._start_at(self._bar_line(t_ns))
            return
        self._line = Line(t_ns, 0.0, self._line.ns_per_beat)
        self._start_at(0.0)
        self._wishes.append(LinkWish(t_ns, quantum=self._quantum))

    def join(self, beat: float, t_ns: int) -> None:
        """Play on, as near to `beat` as the bars of the session allow."""
        bars = round((self._line.beat_at(t_ns) - beat) / self._quantum)
        self._start_at(bars * self._quantum)

    def stop(self) -> None:
        """Play no more, whatever the others do."""
        self.running = False

    def ask_tempo(self, tempo_bpm: float, t_ns: int) -> None:
        """Let the session have that tempo."""
        self._wishes.append(LinkWish(t_ns, tempo_bpm=tempo_bpm))

    def ask_to_play(self, plays: bool, t_ns: int) -> None:
        """Let all who start and stop together do so; to be told after we have."""
        self.plays = plays
        self._wishes.append(LinkWish(t_ns, plays=plays))

    def _start_at(self, session_beat: float) -> None:
        self._zero = session_beat
        self.running = True
        self.jumps += 1

    def _bar_line(self, t_ns: int) -> float:
        """The first line of a bar of the session at that moment or after it."""
        bars = (self._line.beat_at(t_ns) - _ON_THE_LINE_BEATS) / self._quantum
        return math.ceil(bars) * self._quantum
