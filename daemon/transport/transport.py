"""The one transport: position, tempo and meter, whoever tells them. Pure."""

from __future__ import annotations

import math

from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter

from ..leaders import FASTEST_BPM, SLOWEST_BPM, SOURCES
from .changes import Change, SourceChanged
from .link import LinkState, LinkWish
from .meters import BarSpan
from .place import Place
from .sources import Source, Sources
from .timeline import Line
from .told_bars import ToldBars

_AWAITED_NS = 250_000_000  # hosts tell their place some ten times a second


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
        self._tempo_bpm = tempo_bpm
        self._sources = Sources(tempo_bpm)
        self._midi, self._osc = self._sources.midi, self._sources.osc
        self._link, self._internal = self._sources.link, self._sources.internal
        line = Line(0, 0.0, 60e9 / tempo_bpm)
        self._awaiting: tuple[int, int] | None = None  # a start: until when, and its count-in
        self._place = Place(line, meter or Meter(), lambda: self._sources.has_song)
        self._told_bars = ToldBars(
            self._place, self._sources, self.osc_position, self._jump_over_osc
        )
        self.select(source, 0)
        self.take_changes()

    # --- asked ---

    @property
    def playing(self) -> bool:
        """Whether the music runs."""
        return self._place.playing

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
        return self._place.beat_at(t_ns)

    def ns_at(self, beat: float) -> int:
        """When it will be, or was, that beat. While stopped: as if it had run on."""
        return self._place.ns_at(beat)

    def bar_at(self, beat: float) -> BarSpan:
        """The bar that holds `beat`; a bar line belongs to the bar that it opens."""
        return self._place.bars.bar_at(beat)

    def bar(self, number: int) -> BarSpan:
        """The bar of that number; bars before beat 0 have negative ones."""
        return self._place.bars.bar(number)

    @property
    def meter(self) -> Meter:
        """The meter that was set last: it holds from the next bar line on at the latest."""
        return self._place.bars.latest

    @property
    def link_quantum(self) -> float:
        """The bar, in beats, whose phase a Link session is to tell."""
        return self._link.quantum or self.meter.beats

    def take_changes(self) -> list[Change]:
        """What has changed since it was last asked, in order."""
        return self._place.take_changes()

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
        self._sources.point(sixteenths, t_ns)
        if self._sources.allows(self._midi) and not self.playing:
            self._place.stand_at(self._midi.resume_beat, t_ns)

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
        self._osc.position(beats, t_ns, is_place=is_place)
        if self._sources.reread_pointer(beats, t_ns):
            self._settle(t_ns)
        if not self._sources.allows(self._osc):
            return
        if self._osc.running:
            if self._sources.leader(t_ns) is self._osc:
                self._set_tempo(self._osc.tempo_bpm, t_ns)
        elif not self.playing:
            self._place.stand_at(beats, t_ns)
        self._settle(t_ns)

    def osc_bar(self, bar: BarSpan, t_ns: int) -> None:
        """The bar that the host is in, or that the position which it tells next is in."""
        self._told_bars.take_bar(bar, t_ns)

    def osc_bbt(self, bar: int, beat: float, t_ns: int) -> None:
        """The position in bars and the meter's own beats, both counted from 1."""
        if math.isfinite(beat):
            self._told_bars.take_place(bar, beat, t_ns)

    def osc_seconds(self, seconds: float, t_ns: int) -> None:
        """The position in seconds, right under a tempo that never changed: used only while no
        better position comes."""
        if not self._osc.knows_place(t_ns):
            self.osc_position(seconds * self._osc.tempo_bpm / 60, t_ns, is_place=False)

    # --- asked to start and stop ---

    def play(self, t_ns: int, count_in: int = 0) -> bool:
        """Start from the position told, or from 0, the internal clock so many bars before it. False
        when a MIDI clock is in charge. To those who play and say so again it is nothing new: their
        positions tell where. A bridge that tells places, but did not just now, tells where in a
        moment: until then nothing starts. With Link chosen, all who start and stop together play.
        """
        leader = self._sources.leader(t_ns)
        if leader is self._osc or (leader is self._link and self._link.plays):
            return True
        if not self._sources.leaves_start_to_us():
            return False
        if leader is not self._link and self._sources.awaits_place(t_ns):
            self._osc.expect()
            self._awaiting = t_ns + _AWAITED_NS, count_in
        else:
            self._begin(t_ns, count_in)
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
        self._awaiting = None
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
        """Let that meter hold from the next bar line on; within the first beat of a bar, or soon
        after a jump while nothing plays, from the line of that bar."""
        self._place.bars.change(meter, self.beat_at(t_ns), t_ns, playing=self.playing)

    def select(self, source: str, t_ns: int) -> None:
        """Follow that source. Raises ConfigError for a name that is none."""
        if source not in SOURCES:
            raise ConfigError(f"transport.source: got {source!r}, expected one of {SOURCES}")
        beat = self.beat_at(t_ns)
        self._awaiting = None
        self._sources.selected = source
        if self.playing and source == "link" and not self._link.running and self._link.alive:
            self._link.join(beat, t_ns)
        if self.playing and self._sources.leader(t_ns) is None:
            self._internal.start(beat, t_ns)
        self._settle(t_ns)

    def start_internal(self, beat: float, t_ns: int) -> None:
        """Let the internal clock play from `beat` until a source takes over."""
        self._awaiting = None
        self._internal.set_tempo(self._tempo_bpm, t_ns)
        self._internal.start(beat, t_ns)
        self._settle(t_ns)

    def launch(self, t_ns: int, count_in: int = 0) -> None:
        """Begin at beat 0 with nobody leading: a Link session that is followed has it on its next
        bar line; the internal clock at that moment, or so many bars later."""
        if not self._sources.follows_link(t_ns):
            self.start_internal(-count_in * self.meter.beats, t_ns)
            return
        self._awaiting = None
        self._link.launch(t_ns)
        self._settle(t_ns)

    def tick(self, now_ns: int) -> None:
        """Notice a source that has fallen silent. To be called some times a second."""
        if self._awaiting is not None and now_ns >= self._awaiting[0]:
            self._begin(now_ns, count_in=self._awaiting[1])
        if not self._sources.lose_silent(now_ns):
            return
        if self.playing and self._sources.selected == "auto":
            self._go_on(now_ns)
        self._settle(now_ns)

    # --- within ---

    def _begin(self, t_ns: int, count_in: int) -> None:
        """Start as far as is known now."""
        self._awaiting = None
        if self._sources.is_osc_led(t_ns):
            self._osc.play(self._osc.beat if self._osc.alive(t_ns) else 0.0, t_ns)
            self._settle(t_ns)
        else:
            self._osc.expect()
            self.launch(t_ns, count_in)
            self._tell_link(True, t_ns)

    def _go_on(self, t_ns: int) -> None:
        """Who led is gone: from the same place on, in a Link session whose bars are the same, or
        alone."""
        beat = self.beat_at(t_ns)
        if self._sources.follows_link(t_ns):
            self._link.join(beat, t_ns)
            if self._place.is_off(self._link.line(t_ns).beat_at(t_ns), t_ns):
                self._link.stop()
        if self._sources.leader(t_ns) is None:
            self.start_internal(beat, t_ns)

    def _settle(self, t_ns: int) -> None:
        """Put the right source in charge and the playhead on its line."""
        leader = self._sources.leader(t_ns)
        if leader is None:
            self._place.halt(t_ns)
            standing = self._sources.standing(t_ns)
            if standing is not None:
                self._take_charge(standing)
            return
        if leader is not self._internal:
            self._awaiting = None
            self._internal.stop()
        off = self._place.is_off if self._take_charge(leader) else self._place.is_lost
        line = leader.line(t_ns)
        if self.playing and off(line.beat_at(t_ns), t_ns):
            self._place.locate(line, t_ns)
        else:
            self._place.follow(line, t_ns)

    def _take_charge(self, source: Source) -> bool:
        """Whether its position may be another one than was followed so far."""
        if source is not self._sources.charge:
            self._place.note(SourceChanged(source.name))
        return self._sources.put_in_charge(source)

    def _set_tempo(self, tempo_bpm: float, t_ns: int) -> None:
        self._tempo_bpm = tempo_bpm
        self._internal.set_tempo(tempo_bpm, t_ns)

    def _tell_link(self, plays: bool, t_ns: int) -> None:
        """Let those who start and stop together know, where Link was chosen."""
        if self._sources.selected == "link":
            self._link.ask_to_play(plays, t_ns)

    def _jump_over_osc(self, beat: float, t_ns: int) -> None:
        """Be on that beat at once, while the music runs along what OSC tells."""
        self._osc.jump(beat, t_ns)
        self._take_charge(self._osc)  # so that its jump has been followed
        self._place.locate(self._osc.line(t_ns), t_ns)
