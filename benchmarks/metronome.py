"""MIDI clock from the probe: the truth that every note is measured against."""

from __future__ import annotations

import time
from random import Random

from .rig import FrameProbe

TICKS_PER_BEAT, STEPS_PER_BEAT = 24, 12
TICK, START, STOP = b"\xf8", b"\xfa", b"\xfc"
_AHEAD_NS = 1_500_000_000  # so far ahead the probe knows its ticks
_LEAD_NS = 200_000_000
PLAYER_CHANNEL = 1  # of the notes played in, so that they are told from the service's own


class Metronome:
    """Ticks of one tempo from `start` to `stop`, and a player's notes at random moments.

    Tick 24 k is beat k; `at_ns(beat)` is when it is sent.
    """

    def __init__(
        self,
        probe: FrameProbe,
        tempo_bpm: float,
        random: Random,
        gaps_beats: tuple[float, float] = (0.1, 1.5),
    ) -> None:
        self.beat_ns = 60e9 / tempo_bpm
        self._probe = probe
        self._random = random
        self._gaps_beats = gaps_beats
        self._first_ns = time.monotonic_ns() + _LEAD_NS
        self._ticks = 0
        self._next_note_beat = 1.0
        self._plays_notes = False
        probe.play([(self._first_ns - 10_000_000, START)])
        self.feed()

    def at_ns(self, beat: float) -> float:
        return self._first_ns + beat * self.beat_ns

    def beat_at(self, t_ns: float) -> float:
        return (t_ns - self._first_ns) / self.beat_ns

    def play_notes(self, plays: bool) -> None:
        """Let the player play from now on, or pause."""
        self._plays_notes = plays

    def feed(self) -> None:
        """Tell the probe its next ticks and notes; to be called a few times a second."""
        until_ns = time.monotonic_ns() + _AHEAD_NS
        messages: list[tuple[int, bytes]] = []
        while (due_ns := self.at_ns(self._ticks / TICKS_PER_BEAT)) < until_ns:
            messages.append((round(due_ns), TICK))
            self._ticks += 1
        while self.at_ns(self._next_note_beat) < until_ns:
            if self._plays_notes:
                messages += self._note(self._next_note_beat)
            self._next_note_beat += self._random.uniform(*self._gaps_beats)
        if messages:
            self._probe.play(messages)

    def stop(self) -> float:
        """Stop the clock behind the last tick that is known to the probe; when that is."""
        ends_ns = round(self.at_ns(self._ticks / TICKS_PER_BEAT))
        self._probe.play([(ends_ns, STOP)])
        return ends_ns

    def _note(self, beat: float) -> list[tuple[int, bytes]]:
        pitch, velocity = self._random.randint(36, 47), self._random.randint(85, 110)
        ends = beat + self._random.uniform(0.1, 0.9)
        return [
            (round(self.at_ns(beat)), bytes((0x90 | PLAYER_CHANNEL, pitch, velocity))),
            (round(self.at_ns(ends)), bytes((0x80 | PLAYER_CHANNEL, pitch, 0))),
        ]
