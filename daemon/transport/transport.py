"""The one transport: position, tempo and meter, whoever tells them. Pure."""

from __future__ import annotations

import math

from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter

from .changes import Change, Located, SourceChanged, Started, Stopped
from .link import LinkState, LinkWish
from .meters import BarSpan
from .song_bars import SongBars
from .song_pointer import SongPointer
from .sources import SOURCES, Source, Sources
from .timeline import Line, Timeline

SLOWEST_BPM, FASTEST_BPM = 10.0, 1000.0
_BENT_BEATS = 0.25  # a break of the position smaller than this is bent, not jumped
_SECONDS_REST_NS = 2_000_000_000


class Transport:
    """Told what the sources say and when; asked where the music is. One thread.

    `auto` takes the best that runs: MIDI clock, then OSC, which both know the place in the song,
    then Ableton Link, then the internal clock. The internal clock also stands in when the chosen
    source does not run. When the source in charge falls silent, `auto` goes on from the same place
    at the same tempo on the next one. Before beat 0 there may be bars of negative numbers: those of
    a count-in, or the rest of the bar that a Link session is in.
    """

    def __init__(
        self, tempo_bpm: float = 120.0, meter: Meter | None = None, source: str = "auto"
    ) -> None:
        self.playing = False
        self._tempo_bpm = tempo_bpm
        self._sources = Sources(tempo_bpm)
        self._midi, self._osc = self._sources.midi, self._sources.osc
        self._link, self._internal = self._sources.link, self._sources.internal
        self._bars = SongBars(meter or Meter())
        self._timeline = Timeline(Line(0, 0.0, 60e9 / tempo_bpm))
        self._followed = self._timeline.line  # what a source said last, towards which it bends
        self._beat = 0.0  # where it stands while it does not play
        self._stopped_ns = 0
        self._jumps = 0
        self._pointer = SongPointer()
        self._place_ns: int | None = None
        self._changes: list[Change] = []
        self.select(source, 0)
        self._changes.clear()

    # --- asked ---

    @property
    def source(self) -> str:
        """The source in charge."""
        return self._sources.charge.name

    @property
    def selected(self) -> str:
        """The source that was asked for."""
        return self._sources.selected

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
        return self._bars.bar_at(beat)

    def bar(self, number: int) -> BarSpan:
        return self._bars.bar(number)

    @property
    def meter(self) -> Meter:
        """The meter that was set last: it holds from the next bar line on at the latest."""
        return self._bars.latest

    @property
    def link_quantum(self) -> float:
        """The bar, in beats, whose phase a Link session is to tell."""
        return self._link.quantum or self.meter.beats

    def take_changes(self) -> list[Change]:
        """What has changed since it was last asked, in order."""
        changes, self._changes = self._changes, []
        return changes

    # --- told by MIDI clock ---

    def midi_tick(self, t_ns: int) -> None:
        self._midi.tick(t_ns)
        if self._sources.allows(self._midi) and (self._midi.running or self._midi.steady):
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
        if self._sources.allows(self._midi) and self._sources.charge is not self._osc:
            self._internal.stop()
        self._settle(t_ns)

    def midi_song_position(self, sixteenths: int, t_ns: int) -> None:
        self._midi.song_position(self._pointer.beat(sixteenths, self._osc.place(t_ns)))
        if self._sources.allows(self._midi) and not self.playing:
            self._stand_at(self._midi.resume_beat, t_ns)

    # --- told by a Link session ---

    def link(self, state: LinkState, t_ns: int) -> None:
        """How it stands with the session. To be told some times a second."""
        self._link.tell(state)
        if self._sources.follows_link(t_ns):
            self._set_tempo(self._link.tempo_bpm, t_ns)
        self.tick(t_ns)
        self._settle(t_ns)

    def take_link_wishes(self) -> list[LinkWish]:
        """What the session is to be asked for, in order, before it tells its state again."""
        return self._link.take_wishes()

    # --- told over OSC ---

    def osc_tempo(self, bpm: float, t_ns: int) -> None:
        """The tempo of the sources osc and internal, and of the whole session where Link was
        chosen. Nonsense is ignored."""
        if not math.isfinite(bpm) or bpm <= 0:
            return
        bpm = min(max(bpm, SLOWEST_BPM), FASTEST_BPM)
        self._osc.tempo(bpm, t_ns)
        if self._sources.selected == "link":
            self._link.ask_tempo(bpm, t_ns)
        if not self._sources.is_told_tempo(t_ns):
            self._set_tempo(bpm, t_ns)
        self._settle(t_ns)

    def osc_position(self, beats: float, t_ns: int, *, is_place: bool = True) -> None:
        """The position in beats since the start of the song; is_place: told as such."""
        if not math.isfinite(beats):
            return
        if is_place:
            self._place_ns = t_ns
        self._osc.position(beats, t_ns)
        clock_beat = self._midi.line(t_ns).beat_at(t_ns)
        if self._midi.running and (misread := self._pointer.correction(clock_beat, beats)):
            self._midi.move(misread)
        if not self._sources.allows(self._osc):
            return
        if self._osc.running:
            if self._sources.leader(t_ns) is self._osc:
                self._set_tempo(self._osc.tempo_bpm, t_ns)
        elif not self.playing:
            self._stand_at(beats, t_ns)
        self._settle(t_ns)

    def osc_bar(self, bar: BarSpan, t_ns: int) -> None:
        """The bar that the host is in, or that the position which it tells next is in."""
        self._bars.keep_host_bar(bar, t_ns)
        beat, is_there = self.beat_at(t_ns), not self.playing or self._sources.has_song
        if is_there and self._bars.take_host_bar(beat):
            self._changes.append(Located(beat))

    def osc_bbt(self, bar: int, beat: float, t_ns: int) -> None:
        """The position in bars and the meter's own beats, both counted from 1."""
        if not math.isfinite(beat):
            return
        beats = self._bars.beat_of(bar, beat)
        off = self._sources.allows(self._osc) and abs(beats - self.beat_at(t_ns)) > _BENT_BEATS
        leads = self._sources.leader(t_ns) is self._osc
        if off and (not self.playing or (leads and self._osc.is_jump(beats, t_ns))):
            # Bars are numbered anew: say the place in the new numbers, even if it is the old place.
            self._restart_bars(t_ns)
            beats = self._bars.beat_of(bar, beat)
            if self.playing:
                self._osc.jump(beats, t_ns)
                self._locate(t_ns)
        self.osc_position(beats, t_ns)
        self._bars.note_number(bar - 1)

    def osc_seconds(self, seconds: float, t_ns: int) -> None:
        """The position in seconds, right under a tempo that never changed: used only while no
        better position comes."""
        if self._place_ns is None or t_ns - self._place_ns > _SECONDS_REST_NS:
            self.osc_position(seconds * self._osc.tempo_bpm / 60, t_ns, is_place=False)

    def play(self, t_ns: int, count_in: int = 0) -> bool:
        """Start from the position told, or from 0, the internal clock so many bars before it. False
        when a MIDI clock is in charge. To those who play and say so again it is nothing new: their
        positions tell where. With Link chosen, all who start and stop together play."""
        leader = self._sources.leader(t_ns)
        if leader is self._osc or (leader is self._link and self._link.plays):
            return True
        if not self._sources.leaves_start_to_us():
            return False
        if self._sources.is_osc_led(t_ns):
            self._osc.play(self._osc.beat if self._osc.alive(t_ns) else 0.0, t_ns)
            self._settle(t_ns)
        else:
            self._osc.expect()
            self.launch(t_ns, count_in)
            self._tell_link(True, t_ns)
        return True

    def continue_(self, t_ns: int) -> bool:
        """Go on from where it stands. False when a MIDI clock is in charge."""
        if self.playing:
            return True
        if not self._sources.leaves_start_to_us():
            return False
        beat = self.beat_at(t_ns)
        if self._sources.is_osc_led(t_ns):
            self._osc.play(beat, t_ns)
        elif self._sources.follows_link(t_ns):
            self._link.join(beat, t_ns)
            self._tell_link(True, t_ns)
        else:
            self._osc.expect()
            self.start_internal(beat, t_ns)
        self._settle(t_ns)
        return True

    def stop(self, t_ns: int) -> bool:
        """Stand still. False when a MIDI clock is in charge, or a Link session that plays and was
        not chosen, but found."""
        if not self._sources.leaves_stop_to_us(t_ns):
            return False
        if self._midi.paused:
            self._midi.stop()
        self._osc.stop(t_ns)
        self._link.stop()
        if self._link.plays:
            self._tell_link(False, t_ns)
        self._internal.stop()
        self._settle(t_ns)
        return True

    # --- told by the daemon ---

    def set_meter(self, meter: Meter, t_ns: int) -> None:
        """Let that meter hold from the next bar line on; within the first beat of a bar, or at once
        after a jump, from the line of that bar."""
        self._bars.change(meter, self.beat_at(t_ns), t_ns)

    def select(self, source: str, t_ns: int) -> None:
        """Follow that source. Raises ConfigError for a name that is none."""
        if source not in SOURCES:
            raise ConfigError(f"transport.source: got {source!r}, expected one of {SOURCES}")
        beat = self.beat_at(t_ns)
        self._sources.selected = source
        if self.playing and source == "link" and not self._link.running and self._link.alive:
            self._link.join(beat, t_ns)
        if self.playing and self._sources.leader(t_ns) is None:
            self._internal.start(beat, t_ns)
        self._settle(t_ns)

    def start_internal(self, beat: float, t_ns: int) -> None:
        """Let the internal clock play from `beat` until a source takes over."""
        self._internal.set_tempo(self._tempo_bpm, t_ns)
        self._internal.start(beat, t_ns)
        self._settle(t_ns)

    def launch(self, t_ns: int, count_in: int = 0) -> None:
        """Begin at beat 0 with nobody leading: a Link session that is followed has it on its next
        bar line; the internal clock at that moment, or so many bars later."""
        if not self._sources.follows_link(t_ns):
            self.start_internal(-count_in * self.meter.beats, t_ns)
            return
        self._link.launch(t_ns)
        self._settle(t_ns)

    def tick(self, now_ns: int) -> None:
        """Notice a source that has fallen silent. To be called some times a second."""
        if not self._sources.lose_silent(now_ns):
            return
        if self.playing and self._sources.selected == "auto":
            self._go_on(now_ns)
        self._settle(now_ns)

    # --- within ---

    def _go_on(self, t_ns: int) -> None:
        """Who led is gone: from the same place on, in a Link session whose bars are the same, or
        alone."""
        beat = self.beat_at(t_ns)
        if self._sources.follows_link(t_ns):
            self._link.join(beat, t_ns)
            if abs(self._link.line(t_ns).beat_at(t_ns) - beat) > _BENT_BEATS:
                self._link.stop()
        if self._sources.leader(t_ns) is None:
            self.start_internal(beat, t_ns)

    def _settle(self, t_ns: int) -> None:
        """Put the right source in charge and the timeline on its line."""
        leader = self._sources.leader(t_ns)
        if leader is None:
            self._halt(t_ns)
            return
        if leader is not self._internal:
            self._internal.stop()
        changed = leader is not self._sources.charge or leader.jumps != self._jumps
        self._take_charge(leader)
        self._jumps = leader.jumps
        line = leader.line(t_ns)
        if not self.playing:
            self._run(line, t_ns)
        elif changed and abs(line.beat_at(t_ns) - self._timeline.beat_at(t_ns)) > _BENT_BEATS:
            self._locate(t_ns)
        elif line != self._followed:
            self._timeline.follow(line, t_ns)
        self._followed = line

    def _locate(self, t_ns: int) -> None:
        """Be where the source in charge is."""
        charge = self._sources.charge
        line = self._followed = charge.line(t_ns)
        self._jumps = charge.jumps
        self._timeline.jump(line)
        self._restart_bars(t_ns, line.beat_at(t_ns))
        self._changes.append(Located(line.beat_at(t_ns)))

    def _run(self, line: Line, t_ns: int) -> None:
        beat = line.beat_at(t_ns)
        if abs(beat - self._beat) > _BENT_BEATS:
            self._restart_bars(t_ns, beat)
        self._timeline.jump(line)
        self.playing = True
        self._changes.append(Started(beat))

    def _halt(self, t_ns: int) -> None:
        if self.playing:
            self._beat, self._stopped_ns = self._timeline.beat_at(t_ns), t_ns
            self.playing = False
            self._changes.append(Stopped(self._beat))
        standing = self._sources.standing(t_ns)
        if standing is not None:
            self._take_charge(standing)

    def _take_charge(self, source: Source) -> None:
        if source is not self._sources.charge:
            self._sources.charge = source
            self._changes.append(SourceChanged(source.name))

    def _stand_at(self, beat: float, t_ns: int) -> None:
        corrected = abs(beat - self._beat) <= _BENT_BEATS
        self._beat = beat
        if not corrected:
            self._restart_bars(t_ns, beat)
            self._changes.append(Located(beat))

    def _restart_bars(self, t_ns: int, beat: float = 0.0) -> None:
        self._bars.restart(beat, t_ns, has_host=not self.playing or self._sources.has_song)

    def _set_tempo(self, tempo_bpm: float, t_ns: int) -> None:
        self._tempo_bpm = tempo_bpm
        self._internal.set_tempo(tempo_bpm, t_ns)

    def _tell_link(self, plays: bool, t_ns: int) -> None:
        """Let those who start and stop together know, where Link was chosen."""
        if self._sources.selected == "link":
            self._link.ask_to_play(plays, t_ns)
