"""Clicks on the beats, a higher one on the bar line; the count-in. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rwkv_music.timebase import NS_PER_MS

from .parameters import Generation
from .scheduler import CLICK, Event, Release, Strike
from .transport import Transport
from .voices import Sounds, release_ns

_BAR_PITCH, _BEAT_PITCH = 76, 77  # General MIDI's high and low wood block
_BAR_VELOCITY, _BEAT_VELOCITY = 110, 80
_CLICK_NS = 30 * NS_PER_MS
_LATE_NS = 20 * NS_PER_MS  # a click may be so late; what was slept through is not made up for


class Metronome:
    """Each quarter of a bar is a click once, in whatever steps the time goes by."""

    def __init__(self, transport: Transport, sounds: Sounds) -> None:
        self._transport = transport
        self._sounds = sounds
        self._next_beat: float | None = None
        self._begins = 0.0  # beat 0, or where a count-in begins
        self.counts_in = False  # whether who started the clock wished to be counted in

    def restart(self, beat: float) -> None:
        """The position has jumped to `beat`: click from there on."""
        self._next_beat, self._begins = None, min(beat, 0.0)

    def tick(self, now_ns: int, generation: Generation) -> None:
        """Send the clicks of the next milliseconds, if they are wished for."""
        horizon = self._transport.beat_at(now_ns + release_ns(self._sounds))
        if generation.metronome or (self.counts_in and horizon < 0):
            self._sounds.put(*self._due(now_ns, horizon, generation.metronome_channel - 1))
        else:
            self._next_beat = None

    def _due(self, now_ns: int, horizon: float, channel: int) -> Iterator[Event]:
        since = self._transport.beat_at(now_ns - _LATE_NS)
        first = self._first_beat(max(since, self._begins))
        if self._next_beat is None or self._next_beat < first:
            self._next_beat = first
        while self._next_beat < horizon:
            at_ns = self._transport.ns_at(self._next_beat)
            span = self._transport.bar_at(self._next_beat)
            is_line = self._next_beat == span.start_beat
            pitch = _BAR_PITCH if is_line else _BEAT_PITCH
            velocity = _BAR_VELOCITY if is_line else _BEAT_VELOCITY
            yield Strike(at_ns, CLICK, channel, pitch, velocity)
            yield Release(at_ns + _CLICK_NS, CLICK, channel, pitch)
            self._next_beat = min(self._next_beat + 1, span.end_beat)

    def _first_beat(self, beat: float) -> float:
        span = self._transport.bar_at(beat)
        return min(span.start_beat + math.ceil(beat - span.start_beat), span.end_beat)
