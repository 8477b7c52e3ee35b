"""Our notes on their way out: planned, released to the output, sounding, heard. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, steps_to_beats

from .assembler import Assembler
from .completion import Completion
from .echoes import Echoes
from .planner import PlannedNote, Planner
from .scheduler import Event, Release, Sent, Strike
from .transport import BarSpan, Transport

RELEASE_NS = 8 * NS_PER_MS  # so long before its time a note goes to an output that sends at once


class Sounds(Protocol):
    """The output, as far as it concerns the pure part."""

    @property
    def latency_ns(self) -> int: ...
    def put(self, *events: Event) -> None: ...
    def stop(self, owners: set[int] | None = None) -> None: ...
    def take_sent(self) -> list[Sent]: ...


def release_ns(sounds: Sounds) -> int:
    """So long before its time a note or a click goes to the output."""
    return RELEASE_NS + sounds.latency_ns


@dataclass(slots=True)
class _Part:
    """The notes of a completion that are still to begin or to end."""

    home: Completion
    planner: Planner = field(default_factory=Planner)


@dataclass(slots=True)
class _Released:
    """A note that the output has: it sounds, or will at once. It ends on the channel on which it
    began; one that is lent, with the player's key (see `Voices.end`).

    `bars` are those from the one in which it goes out to its own, as they were when the transport
    was last looked at: of a note that has gone out just before a jump, those before the jump.
    """

    home: Completion
    note: PlannedNote
    channel: int
    bars: list[BarSpan]
    sounds: bool = False
    lent: bool = False


class Voices:
    """Each released note has an owner number, under which the output keeps it on the ledger. What
    really goes out is told to the assembler, as a part of what is heard."""

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        sounds: Sounds,
        publish: Callable[..., None],
    ) -> None:
        self._transport = transport
        self._assembler = assembler
        self._sounds = sounds
        self._publish = publish
        self._parts: dict[int, _Part] = {}  # by request
        self._owner = 0
        self._owners: dict[int, _Released] = {}
        self.echoes = Echoes()

    @property
    def release_ns(self) -> int:
        return release_ns(self._sounds)

    def plan(self, completion: Completion, note: PlannedNote) -> None:
        """Let a note sound on its step."""
        self._parts.setdefault(note.request, _Part(completion)).planner.add(note)

    def drop(self, request: int, from_step: int) -> None:
        """Forget the notes of a completion, from a step on, that were not released."""
        if request in self._parts:
            self._parts[request].planner.drop(from_step)

    def to_come(self, request: int) -> int:
        """How many notes of a completion have not sounded yet."""
        planned = len(self._parts[request].planner) if request in self._parts else 0
        released = self._owners.values()
        return planned + sum(r.home.request == request and not r.sounds for r in released)

    def release(self, now_ns: int) -> None:
        """Give the output what is due within the next milliseconds."""
        for released in self._owners.values():
            if not released.sounds:
                released.bars = self._bars(released.home, released.note)
        for part in tuple(self._parts.values()):
            self._release(part, now_ns)
            if part.planner.is_over:
                del self._parts[part.home.request]

    def _release(self, part: _Part, now_ns: int) -> None:
        early_ns = self.release_ns - part.home.least_nudge_ns
        before = self._transport.beat_at(now_ns + early_ns) * STEPS_PER_BEAT
        for note in part.planner.starting(before):
            self._strike(part, note, now_ns)
        for note, owner in part.planner.ending(before):
            if owner in self._owners:
                end_ns = self._transport.ns_at(steps_to_beats(note.end_step))
                due_ns = end_ns + part.home.nudge_ns(note.start_step)
                channel = self._owners[owner].channel
                self._sounds.put(Release(due_ns, owner, channel, note.pitch))

    def _strike(self, part: _Part, note: PlannedNote, now_ns: int) -> None:
        """Give a note to the output; when its time has passed, play it at once or drop it whole."""
        completion, step = part.home, note.start_step
        due_ns = self._transport.ns_at(steps_to_beats(step)) + completion.nudge_ns(step)
        if not completion.in_time(now_ns - due_ns):
            return
        self._owner += 1
        channel = completion.generation.channel_out - 1
        bars = self._bars(completion, note)
        self._owners[self._owner] = _Released(completion, note, channel, bars)
        part.planner.started(note, self._owner)
        self._sounds.put(Strike(due_ns, self._owner, channel, note.pitch, note.velocity))

    def _bars(self, completion: Completion, note: PlannedNote) -> list[BarSpan]:
        beat = steps_to_beats(note.start_step)
        sent_ns = self._transport.ns_at(beat) + completion.nudge_ns(note.start_step)
        own = self._transport.bar_at(beat).number
        first = self._transport.bar_at(max(self._transport.beat_at(sent_ns), 0.0)).number
        return [self._transport.bar(number) for number in range(min(first, own), own + 1)]

    # --- what has gone out ---------------------------------------------------------------------

    def follow_output(self) -> None:
        """Hear what has really gone out."""
        for sent in self._sounds.take_sent():
            if sent.cut is not None and sent.cut in self._owners:
                note = self._owners.pop(sent.cut).note
                self._assembler.cut(self._transport.beat_at(sent.sent_ns), note.pitch)
            match sent.event:
                case Strike(due_ns, owner) as strike:
                    self.echoes.sent(strike, sent.sent_ns)
                    if owner in self._owners:
                        released = self._owners[owner]
                        released.sounds = True
                        home = released.home
                        home.notes += 1
                        home.worst_ns = max(home.worst_ns, sent.sent_ns - due_ns)
                        self._heard(released)
                case Release(_, owner):
                    self._owners.pop(owner, None)

    def _heard(self, released: _Released) -> None:
        """A note has begun to sound. One that goes out before its own bar has begun leaves the bars
        before that in their order, though nobody may have played in them yet."""
        note, tempo_bpm = released.note, self._transport.tempo_bpm
        *before, own = released.bars
        for span in before:
            self._assembler.bar(span, tempo_bpm)
        self._assembler.played(note, own, tempo_bpm)
        beat, beats = steps_to_beats(note.start_step), steps_to_beats(note.duration_steps)
        self._publish("/rwkv/note/played", note.request, beat, note.pitch, note.velocity, beats)

    def sounds(self, pitch: int) -> bool:
        """Whether a note of ours of this pitch sounds."""
        self.follow_output()
        return any(r.note.pitch == pitch for r in self._owners.values())

    # --- ending --------------------------------------------------------------------------------

    def end(self, beat: float, held: Collection[int] = ()) -> None:
        """Everything of ours ends now, at `beat`, and what sounded is what was heard.

        Notes of pitches that the player holds sound on: on a shared instrument our note-off would
        end the player's note. They end with `let_go`. What does not sound yet never will.
        """
        self.follow_output()
        for released in self._owners.values():
            released.lent = released.sounds and released.note.pitch in held
        self._end({owner for owner, r in self._owners.items() if not r.lent}, beat)
        self._parts.clear()

    def carry(self, completion: Completion, steps: int, beat: float) -> None:
        """The transport jumps, from `beat`: what is of this completion moves by so many steps, and
        everything else of ours ends."""
        self.follow_output()
        self._end(set(self._owners) - self._of(completion), beat)
        for released in self._owners.values():
            released.note = released.note.moved(steps)
            released.bars = self._bars(completion, released.note)
        part = self._parts.get(completion.request, _Part(completion))
        part.planner.move(steps)
        self._parts = {completion.request: part}

    def end_of(self, completion: Completion, beat: float) -> None:
        """The notes of one completion end now, at `beat`."""
        self.follow_output()
        self._parts.pop(completion.request, None)
        self._end(self._of(completion), beat)

    def _of(self, completion: Completion) -> set[int]:
        """The owners of its notes that the output has, but for those that are lent."""
        return {o for o, r in self._owners.items() if r.home is completion and not r.lent}

    def _end(self, owners: set[int], beat: float) -> None:
        self._sounds.stop(owners)
        self.follow_output()
        for owner in owners & set(self._owners):
            ended = self._owners.pop(owner)
            if ended.sounds:
                self._assembler.cut(beat, ended.note.pitch)

    def let_go(self, t_ns: int, pitch: int) -> None:
        """The player's key went up: so does ours, if it sounded on under it."""
        for owner, released in self._owners.items():
            if released.lent and released.note.pitch == pitch:
                self._sounds.put(Release(t_ns, owner, released.channel, pitch))
