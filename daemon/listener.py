"""The player's notes: which are heard, and into which bar they go. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

from rwkv_music.music import HIGHEST_PITCH, LOWEST_PITCH
from rwkv_music.timebase import beats_to_steps, steps_to_beats

from .assembled_bar import BarNote
from .assembler import Assembler
from .echoes import DRUM_CHANNEL, ECHO_NS
from .parameters import Generation
from .performer import Performer
from .scheduler import CONTROL, NOTE_OFF, NOTE_ON
from .thru import Thru
from .transport import Transport
from .voices import Sounds, Voices

_CHANNELS = range(16)
_ALL_SOUND_OFF, _ALL_NOTES_OFF = 120, 123  # the controllers above are modes, which imply the latter


class Listener:
    """Puts what the player does into the assembler's bars, and knows how long it was silent.

    A key is a channel and a pitch. What ends something that was heard or sent on is always heard
    and sent on, whatever the parameters say by then.
    """

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        performer: Performer,
        voices: Voices,
        sounds: Sounds,
        publish: Callable[..., None],
    ) -> None:
        self.ignored: dict[str, int] = {}  # what came in and was not heard, by reason
        self.has_news = False  # whether something was heard since it was last set to False
        self._transport = transport
        self._assembler = assembler
        self._performer = performer
        self._voices = voices
        self._thru = Thru(sounds, voices.echoes)
        self._publish = publish
        # Keys that came down as our own echo, and until when that may end.
        self._echoes: dict[tuple[int, int], float] = {}
        self._down: dict[tuple[int, int], BarNote] = {}  # keys that are heard, and their notes
        self._last_beat = 0.0
        self._begins = 0.0  # beat 0, or where a count-in begins

    def beat_at(self, t_ns: int) -> float:
        """Where the music is at that moment. What comes before the beginning is on it."""
        return max(self._transport.beat_at(t_ns), self._begins)

    def ignore(self, reason: str) -> None:
        """Count something that is not heard."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    def take(self, t_ns: int, message: bytes, generation: Generation) -> bool:
        """A channel message: sent on where that is wished; a key that goes up ends its note. True
        for a note-on that is heard: `note_on` is to follow."""
        status, channel = message[0] & 0xF0, message[0] & 0x0F
        strikes = status == NOTE_ON and message[2] > 0
        if status in (NOTE_OFF, NOTE_ON) and not strikes:
            self._note_off(t_ns, message)
            return False
        if status == CONTROL and (message[1] == _ALL_SOUND_OFF or message[1] >= _ALL_NOTES_OFF):
            self.lift(t_ns, (channel,))
        follows = generation.channel_in in (0, channel + 1)
        if strikes and follows and self._is_echo(t_ns, channel, message[1], message[2]):
            self.ignore("echo")
            return False
        if strikes:
            self._outlive_echo(t_ns, channel, message[1])
        self._thru.take(t_ns, message, wished=follows and generation.thru == 1)
        if not follows:
            self.ignore("channel")
        return strikes and follows and self._admits(t_ns, channel, message[1])

    def _is_echo(self, t_ns: int, channel: int, pitch: int, velocity: int) -> bool:
        self._voices.follow_output()
        echoes, key = self._voices.echoes, (channel, pitch)
        held = key in self._down or self._thru.holds(channel, pitch)
        if echoes.is_ours(t_ns, channel, pitch, velocity, held=held):
            self._echoes[key] = math.inf
            return True
        return echoes.is_thru(t_ns, channel, pitch, velocity, held=held)

    def _outlive_echo(self, t_ns: int, channel: int, pitch: int) -> None:
        """The player strikes a key. If our own note of it is over, its end comes back at once or
        has been lost."""
        key = channel, pitch
        if key in self._echoes and not self._voices.sounds(pitch):
            self._echoes[key] = min(self._echoes[key], t_ns + ECHO_NS)

    def _ends_echo(self, t_ns: int, channel: int, pitch: int) -> bool:
        """Whether a note-off is that of our own note, come back. While ours sounds it is the
        player's, who has struck the key as well."""
        key = channel, pitch
        if key in self._down and self._voices.sounds(pitch):
            return False
        return t_ns <= self._echoes.pop(key, -math.inf)

    def _admits(self, t_ns: int, channel: int, pitch: int) -> bool:
        if channel == DRUM_CHANNEL:
            self.ignore("drum channel")
        elif not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            self.ignore("pitch")
        elif self._is_left_to_us(t_ns):
            self.ignore("overlap")
        else:
            return True
        return False

    def _is_left_to_us(self, t_ns: int) -> bool:
        """Whether a note falls into a completion that lets nobody in. One that comes just before
        the line on which it ends belongs to the bar after it."""
        playing = self._performer.playing
        if playing is None:
            return False
        step, ends = self._place(t_ns)[1], beats_to_steps(playing.end_beat(self._transport))
        home = playing if step < ends else self._performer.armed
        return home is not None and step >= home.start_step and home.generation.overlap == "ignore"

    def _place(self, t_ns: int) -> tuple[float, int]:
        """The beat of an onset, and the step that it belongs to."""
        beat = self.beat_at(t_ns)
        return beat, self._assembler.onset_step(beat, self._transport.bar_at(beat))

    def note_on(self, t_ns: int, channel: int, pitch: int, velocity: int) -> None:
        """A note that is heard; the transport runs, and the bars before it are closed."""
        beat, step = self._place(t_ns)
        span, tempo_bpm = self._transport.bar_at(steps_to_beats(step)), self._transport.tempo_bpm
        note = self._assembler.note_on(beat, step, span, tempo_bpm, pitch, velocity, channel)
        self._last_beat, self.has_news = beat, True
        self._down[channel, pitch] = note

    def _note_off(self, t_ns: int, message: bytes) -> None:
        channel, pitch = message[0] & 0x0F, message[1]
        if self._ends_echo(t_ns, channel, pitch):
            return
        self._thru.take(t_ns, message, wished=False)
        note = self._down.pop((channel, pitch), None)
        if note is None:
            return  # its note-on was not heard: it ends nobody's silence
        beat = self._transport.beat_at(t_ns)
        self._last_beat = beat
        self._assembler.note_off(beat, pitch, channel)
        beats = steps_to_beats(note.duration)
        self._publish("/rwkv/note/heard", note.beat, pitch, note.velocity, beats)
        if pitch not in self.held_pitches:
            self._voices.let_go(t_ns, pitch)

    def lift(self, t_ns: int, channels: Iterable[int] = _CHANNELS) -> None:
        """Every key of these channels goes up, whether or not its note-off will come."""
        self._echoes = {key: until for key, until in self._echoes.items() if key[0] not in channels}
        for channel, pitch in sorted({*self._down, *self._thru.keys}):
            if channel in channels:
                self._note_off(t_ns, bytes((NOTE_OFF | channel, pitch, 0)))

    def forget(self) -> None:
        """Nothing was ever heard; a key that is down counts from the next time it goes down."""
        self._down.clear()
        self._echoes.clear()
        self.has_news = False

    def silent_beats(self, beat: float) -> float:
        """How long ago the last key went up; 0 while one is down."""
        return 0.0 if self._down else beat - self._last_beat

    @property
    def held_pitches(self) -> Collection[int]:
        """The keys that are down, those that a bar has forgotten included."""
        return {pitch for _, pitch in self._down}

    def renumber(self, beat: float) -> None:
        """The transport has jumped to `beat`."""
        self._last_beat = beat
        self._begins = min(beat, 0.0)
