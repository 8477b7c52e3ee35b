"""Those who may conduct, and who of them does. Pure."""

from __future__ import annotations

from .internal import Internal
from .link import AbletonLink
from .midi_clock import MidiClock
from .osc import Osc
from .song_pointer import SongPointer

Source = MidiClock | Osc | AbletonLink | Internal


class Sources:
    """The four, the one that was `selected` (or auto), and the one that is in `charge`."""

    def __init__(self, tempo_bpm: float) -> None:
        self.midi = MidiClock(tempo_bpm)
        self.osc = Osc(tempo_bpm)
        self.link = AbletonLink(tempo_bpm)
        self.internal = Internal(tempo_bpm)
        self.selected = "auto"
        self.charge: Source = self.internal
        self._pointer = SongPointer()
        self._jumps = 0  # of that one, as far as they have been followed

    def named(self, name: str) -> Source:
        """The one of that name, which is not auto."""
        every: tuple[Source, ...] = (self.midi, self.osc, self.link, self.internal)
        return {source.name: source for source in every}[name]

    def allows(self, source: Source) -> bool:
        """Whether it may lead."""
        return self.selected in ("auto", source.name)

    def leader(self, t_ns: int) -> Source | None:
        """The best of those that run; None where nobody does."""
        for source in (self.midi, self.osc):
            if source.running and self.allows(source):
                return source
        # A host that stops its clock stops its session a little later: until then, what is better
        # than Link is still there, and Link does not take over.
        leads = self.charge is self.link and self.link.alive and self.allows(self.link)
        if self.link.running and (leads or self.follows_link(t_ns)):
            return self.link
        return self.internal if self.internal.running else None

    def standing(self, t_ns: int) -> Source | None:
        """Who is in charge while nobody runs; None: whoever was."""
        if self.selected != "auto":
            return self.named(self.selected)
        if self.midi.alive(t_ns):
            return self.midi
        return self.link if self.follows_link(t_ns) else None

    @property
    def has_song(self) -> bool:
        """Whether the place is one in the song of a host: a session of Link's and our own clock
        have their own."""
        return self.charge is self.midi or self.charge is self.osc

    def put_in_charge(self, source: Source) -> bool:
        """Follow that one; whether it is another one than before, or has jumped since."""
        breaks = source is not self.charge or source.jumps != self._jumps
        self.charge, self._jumps = source, source.jumps
        return breaks

    def point(self, sixteenths: int, t_ns: int) -> None:
        """The MIDI clock's song position; what it counts, the host's bridge shows, if there is
        one."""
        self.midi.song_position(self._pointer.beat(sixteenths, self.osc.place(t_ns)))

    def reread_pointer(self, beats: float, t_ns: int) -> bool:
        """The host says over OSC where it is: whether the clock's position was misread, and is
        another one now."""
        if not self.midi.running:
            return False
        misread = self._pointer.correction(self.midi.line(t_ns).beat_at(t_ns), beats)
        if misread:
            self.midi.move(misread)
        return bool(misread)

    def leaves_start_to_us(self) -> bool:
        """Whether it is for us to start; a MIDI clock does that itself."""
        follows_midi = self.allows(self.midi) and self.midi.running
        return self.selected != "midi_clock" and not follows_midi

    def leaves_stop_to_us(self, t_ns: int) -> bool:
        """Whether we may stop: not a MIDI clock that runs, nor a Link session that plays and was
        not chosen, but found."""
        if self.allows(self.midi) and self.midi.running:
            return False
        plays = self.leader(t_ns) is self.link and self.link.plays
        return self.selected == "link" or not plays

    def is_osc_led(self, t_ns: int) -> bool:
        """Whether a start or a position is the bridge's."""
        return self.allows(self.osc) and (self.selected == "osc" or self.osc.alive(t_ns))

    def awaits_place(self, t_ns: int) -> bool:
        """Whether a bridge is about to tell where the music that starts now begins."""
        return self.allows(self.osc) and self.osc.tells_start_later(t_ns)

    def is_told_tempo(self, t_ns: int) -> bool:
        """Whether somebody who leads better than OSC tells the tempo."""
        by_midi = self.allows(self.midi) and self.midi.alive(t_ns)
        return by_midi or self.follows_link(t_ns)

    def follows_link(self, t_ns: int) -> bool:
        """Whether a Link session tells tempo and bars: it was chosen, or nobody better is there."""
        if self.selected != "auto":
            return self.selected == "link"
        better = self.midi.alive(t_ns) or self.osc.alive(t_ns)
        return self.link.alive and not better

    def lose_silent(self, now_ns: int) -> bool:
        """Let those stop that have fallen silent; whether there were any."""
        lost = False
        if self.midi.running and not self.midi.alive(now_ns):
            self.midi.pause()
            lost = True
        if self.osc.dead(now_ns):
            self.osc.stop(now_ns)
            self.osc.expect()
            lost = True
        if self.link.running and not self.link.alive and self.selected == "auto":
            self.link.stop()
            lost = True
        return lost
