"""MIDI clock as a source: 24 ticks a beat, start, stop, continue and song position."""

from __future__ import annotations

from .song_pointer import TICKS_PER_BEAT
from .tick_filter import TickFilter
from .timeline import Line

_DEAD_NS = 500_000_000
_DEAD_TICKS = 4
_LONGEST_PAUSE_NS = 60_000_000_000  # longer is a clock that was switched off


class MidiClock:
    """Position and tempo as the ticks tell them. Pure.

    The first tick after a start is beat 0; after a continue it is where the stop, or the song
    position, left the music.
    """

    name = "midi_clock"

    def __init__(self, tempo_bpm: float) -> None:
        self.running = False
        self.paused = False  # the ticks ceased in mid-play; the next one goes on from there
        self.jumps = 0  # counts the breaks of the position
        self._filter = TickFilter(60e9 / tempo_bpm / TICKS_PER_BEAT)
        self._next_beat: float | None = None  # where the next tick is to be, once it is to run
        self._resume_beat = 0.0
        self._tick_0_beat = 0.0  # the beat of the filter's tick 0
        self._last_ns: int | None = None

    @property
    def tempo_bpm(self) -> float:
        return 60e9 / TICKS_PER_BEAT / self._filter.ns_per_tick

    @property
    def resume_beat(self) -> float:
        """Where a continue would go on."""
        return self._resume_beat

    @property
    def steady(self) -> bool:
        """Whether enough ticks have come to trust the tempo."""
        return self._filter.steady

    def line(self, t_ns: int) -> Line:
        line = self._filter.line
        return Line(
            line.t_ns,
            self._tick_0_beat + line.beat / TICKS_PER_BEAT,
            line.ns_per_beat * TICKS_PER_BEAT,
        )

    def alive(self, now_ns: int) -> bool:
        """Whether ticks are coming."""
        if self._last_ns is None:
            return False
        return now_ns - self._last_ns <= max(_DEAD_NS, _DEAD_TICKS * self._filter.ns_per_tick)

    def tick(self, t_ns: int) -> None:
        if not self.alive(t_ns):
            self._filter.restart()
        if self.paused and self._last_ns is not None and t_ns - self._last_ns > _LONGEST_PAUSE_NS:
            self.stop()
        self._last_ns = t_ns
        if self._next_beat is None:
            self._filter.tick(t_ns)
        else:
            self._filter.tick_on_beat(t_ns)
            self._tick_0_beat = self._next_beat - self._filter.index / TICKS_PER_BEAT
            self._next_beat = None
            self.running, self.paused = True, False
            self.jumps += 1
        if self.running:
            # The tick after this one is the next to be played.
            self._resume_beat = self._tick_0_beat + (self._filter.index + 1) / TICKS_PER_BEAT

    def start(self) -> None:
        self._next_beat, self.paused = 0.0, False

    def continue_(self) -> None:
        if not self.running:
            self._next_beat, self.paused = self._resume_beat, False

    def pause(self) -> None:
        """The ticks have ceased in mid-play. A host that counts no ticks stands still, as one does
        that loads a plug-in: it goes on from there without another start."""
        self.running, self.paused = False, True
        self._next_beat = self._resume_beat

    def stop(self) -> None:
        self.running = self.paused = False
        self._next_beat = None

    def song_position(self, beat: float) -> None:
        """Go there: at the next tick while running, else when it continues."""
        self._resume_beat = beat
        if self.running or self._next_beat is not None:
            self._next_beat = self._resume_beat

    def move(self, beats: float) -> None:
        """The place was misread by so much; the ticks are where they are."""
        self._resume_beat += beats
        if self._next_beat is not None:
            self._next_beat += beats
        if self.running:
            self._tick_0_beat += beats
            self.jumps += 1
