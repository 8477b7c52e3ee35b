"""The one transport: position, tempo and meter, whoever tells them. Pure."""

from __future__ import annotations

import math

from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter

from .changes import Change, Located, SourceChanged, Started, Stopped
from .internal import Internal
from .meters import BarSpan, MeterMap
from .midi_clock import MidiClock
from .osc import Osc
from .timeline import Line, Timeline

SOURCES = ("auto", "internal", "midi_clock", "osc")
SLOWEST_BPM, FASTEST_BPM = 10.0, 1000.0
_BENT_BEATS = 0.25  # a break of the position smaller than this is bent, not jumped
_SECONDS_REST_NS = 2_000_000_000


_Source = MidiClock | Osc | Internal


class Transport:
    """Told what the sources say and when; asked where the music is. One thread.

    `auto` takes the best that runs: MIDI clock, then OSC, then the internal clock. The internal
    clock also stands in when the chosen source does not run. When the source in charge falls
    silent, `auto` goes on from the same place at the same tempo on the next one, until it is back.
    """

    def __init__(
        self, tempo_bpm: float = 120.0, meter: Meter | None = None, source: str = "auto"
    ) -> None:
        self.playing = False
        self._tempo_bpm = tempo_bpm
        self._midi = MidiClock(tempo_bpm)
        self._osc = Osc(tempo_bpm)
        self._internal = Internal(tempo_bpm)
        self._meters = MeterMap(meter or Meter())
        self._timeline = Timeline(Line(0, 0.0, 60e9 / tempo_bpm))
        self._beat = 0.0  # where it stands while it does not play
        self._stopped_ns = 0
        self._charge: _Source = self._internal
        self._jumps = 0
        self._bbt_ns: int | None = None
        self._changes: list[Change] = []
        self._selected = "auto"
        self.select(source, 0)
        self._changes.clear()

    # --- asked ---

    @property
    def source(self) -> str:
        """The source in charge."""
        return self._charge.name

    @property
    def selected(self) -> str:
        """The source that was asked for."""
        return self._selected

    @property
    def tempo_bpm(self) -> float:
        """Quarters a minute."""
        return self._tempo_bpm

    def beat_at(self, t_ns: int) -> float:
        """The position at a moment, past or to come, as far as is known now."""
        if not self.playing and t_ns >= self._stopped_ns:
            return self._beat
        return self._timeline.beat_at(t_ns)

    def ns_at(self, beat: float) -> int:
        """When it will be, or was, that beat. While stopped: as if it had run on."""
        return self._timeline.ns_at(beat)

    def bar_at(self, beat: float) -> BarSpan:
        return self._meters.bar_at(beat)

    def bar(self, number: int) -> BarSpan:
        return self._meters.bar(number)

    def meter_at(self, beat: float) -> Meter:
        return self._meters.bar_at(beat).meter

    @property
    def meter(self) -> Meter:
        """The meter that was set last: it holds from the next bar line on at the latest."""
        return self._meters.latest

    def take_changes(self) -> list[Change]:
        """What has changed since it was last asked, in order."""
        changes, self._changes = self._changes, []
        return changes

    # --- told by MIDI clock ---

    def midi_tick(self, t_ns: int) -> None:
        self._midi.tick(t_ns)
        if self._allows(self._midi) and (self._midi.running or self._midi.steady):
            self._set_tempo(self._midi.tempo_bpm, t_ns)
        self._settle(t_ns)

    def midi_start(self, t_ns: int) -> None:
        """The next tick is beat 0."""
        self._midi.start()

    def midi_continue(self, t_ns: int) -> None:
        """The next tick is where the stop or the song position left the music."""
        self._midi.continue_()

    def midi_stop(self, t_ns: int) -> None:
        self._midi.stop()
        if self._allows(self._midi) and self._charge is not self._osc:
            self._internal.stop()
        self._settle(t_ns)

    def midi_song_position(self, sixteenths: int, t_ns: int) -> None:
        self._midi.song_position(sixteenths)
        if self._allows(self._midi) and not self.playing:
            self._stand_at(self._midi.resume_beat)

    # --- told over OSC ---

    def osc_tempo(self, bpm: float, t_ns: int) -> None:
        """The tempo of the sources osc and internal. Nonsense is ignored."""
        if not math.isfinite(bpm) or bpm <= 0:
            return
        bpm = min(max(bpm, SLOWEST_BPM), FASTEST_BPM)
        self._osc.tempo(bpm, t_ns)
        if not (self._allows(self._midi) and self._midi.alive(t_ns)):
            self._set_tempo(bpm, t_ns)
        self._settle(t_ns)

    def osc_position(self, beats: float, t_ns: int) -> None:
        """The position in beats since the start of the song."""
        if not math.isfinite(beats):
            return
        self._bbt_ns = t_ns
        self._position(beats, t_ns)

    def osc_bbt(self, bar: int, beat: float, t_ns: int) -> None:
        """The position in bars and the meter's own beats, both counted from 1."""
        if not math.isfinite(beat):
            return
        self._bbt_ns = t_ns
        beats = self._beats_of(bar, beat)
        if not self._is_elsewhere(beats, t_ns):
            self._position(beats, t_ns)
            return
        # Bars are numbered anew: say the place in the new numbers, even if that is the old place.
        self._meters.restart()
        beats = self._beats_of(bar, beat)
        if self.playing:
            self._osc.jump(beats, t_ns)
            self._locate(t_ns)
        self._position(beats, t_ns)

    def osc_seconds(self, seconds: float, t_ns: int) -> None:
        """The position in seconds, right under a tempo that never changed: used only while no
        better position comes."""
        if not math.isfinite(seconds):
            return
        if self._bbt_ns is None or t_ns - self._bbt_ns > _SECONDS_REST_NS:
            self._position(seconds * self._osc.tempo_bpm / 60, t_ns)

    def play(self, t_ns: int) -> bool:
        """Start from the position told, or from 0. False when a MIDI clock is in charge. To a host
        that plays and says so again it is nothing new: its positions tell where."""
        if self._osc.running and self._leader() is self._osc:
            return True
        told = self._osc.beat if self._osc.alive(t_ns) else 0.0
        return self._play(told, t_ns)

    def continue_(self, t_ns: int) -> bool:
        """Go on from where it stands. False when a MIDI clock is in charge."""
        return self.playing or self._play(self.beat_at(t_ns), t_ns)

    def stop(self, t_ns: int) -> bool:
        """Stand still. False when a MIDI clock is in charge."""
        if self._allows(self._midi) and self._midi.running:
            return False
        if self._midi.paused:
            self._midi.stop()
        self._osc.stop(t_ns)
        self._internal.stop()
        self._settle(t_ns)
        return True

    # --- told by the daemon ---

    def set_meter(self, meter: Meter, t_ns: int) -> None:
        """Let that meter hold from the next bar line on; within the first beat of a bar, from the
        line of that bar."""
        self._meters.change(meter, self.beat_at(t_ns))

    def select(self, source: str, t_ns: int) -> None:
        """Follow that source. Raises ConfigError for a name that is none."""
        if source not in SOURCES:
            raise ConfigError(f"transport.source: got {source!r}, expected one of {SOURCES}")
        beat = self.beat_at(t_ns)
        self._selected = source
        if self.playing and self._leader() is None:
            self._internal.start(beat, t_ns)
        self._settle(t_ns)

    def start_internal(self, beat: float, t_ns: int) -> None:
        """Let the internal clock play from `beat` until a source takes over."""
        self._internal.set_tempo(self._tempo_bpm, t_ns)
        self._internal.start(beat, t_ns)
        self._settle(t_ns)

    def tick(self, now_ns: int) -> None:
        """Notice a source that has fallen silent. To be called some times a second."""
        lost: _Source | None = None
        if self._midi.running and not self._midi.alive(now_ns):
            self._midi.pause()
            lost = self._midi
        if self._osc.dead(now_ns):
            self._osc.stop(now_ns)
            self._osc.expect()
            lost = self._osc
        if lost is None:
            return
        if self.playing and self._selected == "auto" and self._leader() is None:
            self._internal.set_tempo(self._tempo_bpm, now_ns)
            self._internal.start(self.beat_at(now_ns), now_ns)
        self._settle(now_ns)

    # --- within ---

    def _allows(self, source: _Source) -> bool:
        return self._selected in ("auto", source.name)

    def _leader(self) -> _Source | None:
        for source in (self._midi, self._osc):
            if source.running and self._allows(source):
                return source
        return self._internal if self._internal.running else None

    def _settle(self, t_ns: int) -> None:
        """Put the right source in charge and the timeline on its line."""
        leader = self._leader()
        if leader is None:
            self._halt(t_ns)
            return
        if leader is not self._internal:
            self._internal.stop()
        changed = leader is not self._charge or leader.jumps != self._jumps
        self._take_charge(leader)
        self._jumps = leader.jumps
        line = leader.line(t_ns)
        if not self.playing:
            self._run(line, t_ns)
        elif changed and abs(line.beat_at(t_ns) - self._timeline.beat_at(t_ns)) > _BENT_BEATS:
            self._locate(t_ns)
        elif line != self._timeline.line:
            self._timeline.follow(line, t_ns)

    def _locate(self, t_ns: int) -> None:
        """Be where the source in charge is."""
        line = self._charge.line(t_ns)
        self._jumps = self._charge.jumps
        self._timeline.jump(line)
        self._meters.restart()
        self._changes.append(Located(line.beat_at(t_ns)))

    def _run(self, line: Line, t_ns: int) -> None:
        beat = line.beat_at(t_ns)
        if abs(beat - self._beat) > _BENT_BEATS:
            self._meters.restart()
        self._timeline.jump(line)
        self.playing = True
        self._changes.append(Started(beat))

    def _halt(self, t_ns: int) -> None:
        if self.playing:
            self._beat, self._stopped_ns = self._timeline.beat_at(t_ns), t_ns
            self.playing = False
            self._changes.append(Stopped(self._beat))
        if self._selected != "auto":
            named = {s.name: s for s in (self._midi, self._osc, self._internal)}
            self._take_charge(named[self._selected])
        elif self._midi.alive(t_ns):
            self._take_charge(self._midi)

    def _take_charge(self, source: _Source) -> None:
        if source is not self._charge:
            self._charge = source
            self._changes.append(SourceChanged(source.name))

    def _stand_at(self, beat: float) -> None:
        corrected = abs(beat - self._beat) <= _BENT_BEATS
        self._beat = beat
        if not corrected:
            self._meters.restart()
            self._changes.append(Located(beat))

    def _set_tempo(self, tempo_bpm: float, t_ns: int) -> None:
        self._tempo_bpm = tempo_bpm
        self._internal.set_tempo(tempo_bpm, t_ns)

    def _play(self, beat: float, t_ns: int) -> bool:
        if self._selected == "midi_clock" or (self._allows(self._midi) and self._midi.running):
            return False
        if self._allows(self._osc) and (self._selected == "osc" or self._osc.alive(t_ns)):
            self._osc.play(beat, t_ns)
        else:
            self._osc.expect()
            self._internal.set_tempo(self._tempo_bpm, t_ns)
            self._internal.start(beat, t_ns)
        self._settle(t_ns)
        return True

    def _position(self, beats: float, t_ns: int) -> None:
        self._osc.position(beats, t_ns)
        if not self._allows(self._osc):
            return
        if self._osc.running:
            if self._leader() is self._osc:
                self._set_tempo(self._osc.tempo_bpm, t_ns)
        elif not self.playing:
            self._stand_at(beats)
        self._settle(t_ns)

    def _is_elsewhere(self, beats: float, t_ns: int) -> bool:
        """Whether a position told over OSC is a jump of ours, and no small one."""
        if not self._allows(self._osc) or abs(beats - self.beat_at(t_ns)) <= _BENT_BEATS:
            return False
        return not self.playing or (self._leader() is self._osc and self._osc.is_jump(beats, t_ns))

    def _beats_of(self, bar: int, beat: float) -> float:
        span = self._meters.bar(bar - 1)
        return span.start_beat + (beat - 1) * 4 / span.meter.denominator
