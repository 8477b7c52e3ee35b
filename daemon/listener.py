"""The player's notes: which are heard, and into which bar they go. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rwkv_music.music import HIGHEST_PITCH, LOWEST_PITCH
from rwkv_music.timebase import steps_to_beats

from .assembler import Assembler
from .performer import Performer
from .transport import Transport
from .voices import Voices

_DRUM_CHANNEL = 9


class Listener:
    """Puts what the player does into the assembler's bars, and knows how long it was silent."""

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        performer: Performer,
        voices: Voices,
        publish: Callable[..., None],
    ) -> None:
        self.ignored: dict[str, int] = {}  # what came in and was not heard, by reason
        self.has_news = False  # whether something was heard since it was last set to False
        self._transport = transport
        self._assembler = assembler
        self._performer = performer
        self._voices = voices
        self._publish = publish
        self._echoes: set[int] = set()
        self._down: set[int] = set()
        self._last_beat = 0.0

    def ignore(self, reason: str) -> None:
        """Count something that is not heard."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    def admits(self, t_ns: int, channel: int, pitch: int, velocity: int, overlap: str) -> bool:
        """Whether a note-on is heard; if not, it is counted."""
        self._voices.follow_output()
        if channel == _DRUM_CHANNEL:
            self.ignore("drum channel")
        elif not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            self.ignore("pitch")
        elif self._voices.is_echo(t_ns, pitch, velocity):
            self._echoes.add(pitch)
            self.ignore("echo")
        elif self._performer.playing is not None and overlap == "ignore":
            self.ignore("overlap")
        else:
            return True
        return False

    def note_on(self, t_ns: int, pitch: int, velocity: int) -> None:
        """A note that is admitted; the transport runs, and the bars before it are closed."""
        beat = max(self._transport.beat_at(t_ns), 0.0)
        step = self._assembler.onset_step(beat, self._transport.bar_at(beat))
        span = self._transport.bar_at(steps_to_beats(step))
        self._assembler.note_on(beat, step, span, self._transport.tempo_bpm, pitch, velocity)
        self._last_beat, self.has_news = beat, True
        self._down.add(pitch)

    def note_off(self, t_ns: int, pitch: int) -> None:
        if pitch in self._echoes:
            self._echoes.discard(pitch)
            return
        self._down.discard(pitch)
        beat = self._transport.beat_at(t_ns)
        self._last_beat = beat
        note = self._assembler.note_off(beat, pitch)
        if note is not None:
            beats = steps_to_beats(note.duration)
            self._publish("/rwkv/note/heard", note.beat, pitch, note.velocity, beats)

    def silent_beats(self, beat: float) -> float:
        """How long ago the last key went up; 0 while one is down."""
        return 0.0 if self._down else beat - self._last_beat

    @property
    def held_pitches(self) -> Collection[int]:
        """The keys that are down, those that a bar has forgotten included."""
        return self._down

    def renumber(self, beat: float) -> None:
        """The transport has jumped to `beat`."""
        self._last_beat = beat
