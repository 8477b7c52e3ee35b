"""Our notes on their way out: planned, released to the output, sounding, heard. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, steps_to_beats

from .assembler import Assembler
from .completion import Completion
from .echoes import Echoes
from .parameters import Generation
from .planner import PlannedNote, Planner
from .scheduler import Event, Release, Sent, Strike
from .transport import Transport

RELEASE_NS = 8 * NS_PER_MS  # so long before its time a note goes to the output


class Sounds(Protocol):
    """The output, as far as it concerns the pure part."""

    def put(self, *events: Event) -> None: ...
    def stop(self, owners: set[int] | None = None) -> None: ...
    def take_sent(self) -> list[Sent]: ...


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
        self._planner = Planner()
        self._plans: dict[int, Completion] = {}  # by request, those that have notes to come
        self._owner = 0
        self._owners: dict[int, tuple[Completion, PlannedNote]] = {}  # who sounds, or will at once
        self._lent: dict[int, tuple[int, int]] = {}  # pitch -> owner, channel: see `end`
        self.echoes = Echoes()

    def due_ns(self, step: int, generation: Generation) -> int:
        """When a note on this step goes out."""
        nudge_ns = round(generation.nudge_ms * NS_PER_MS)
        return self._transport.ns_at(steps_to_beats(step)) + nudge_ns

    def plan(self, completion: Completion, note: PlannedNote) -> None:
        """Let a note sound on its step."""
        self._plans[note.request] = completion
        self._planner.add(note)

    def drop(self, request: int, from_step: int | None = None) -> None:
        """Forget the notes of a completion, all or from a step on, that were not released."""
        if from_step is None:
            self._plans.pop(request, None)
            self._planner.drop(request)
        else:
            self._planner.drop(request, from_step)

    def release(self, now_ns: int) -> None:
        """Give the output what is due within the next milliseconds."""
        nudges = [completion.generation.nudge_ms for completion in self._plans.values()]
        nudge_ns = round(min(nudges, default=0.0) * NS_PER_MS)
        before = self._transport.beat_at(now_ns + RELEASE_NS - nudge_ns) * STEPS_PER_BEAT
        for note in self._planner.starting(before):
            self._strike(self._plans[note.request], note, now_ns)
        for note, owner in self._planner.ending(before):
            if owner in self._owners:
                generation = self._owners[owner][0].generation
                due_ns = self.due_ns(note.end_step, generation)
                self._sounds.put(Release(due_ns, owner, generation.channel_out - 1, note.pitch))

    def _strike(self, completion: Completion, note: PlannedNote, now_ns: int) -> None:
        """Give a note to the output; when its time has passed, play it at once or drop it whole."""
        generation = completion.generation
        due_ns = self.due_ns(note.start_step, generation)
        if not completion.in_time(now_ns - due_ns):
            return
        self._owner += 1
        self._owners[self._owner] = completion, note
        self._planner.started(note, self._owner)
        channel = generation.channel_out - 1
        self._sounds.put(Strike(due_ns, self._owner, channel, note.pitch, note.velocity))

    # --- what has gone out ---------------------------------------------------------------------

    def follow_output(self) -> None:
        """Hear what has really gone out."""
        for sent in self._sounds.take_sent():
            if sent.cut is not None and sent.cut in self._owners:
                _, note = self._owners.pop(sent.cut)
                self._assembler.cut(self._transport.beat_at(sent.sent_ns), note.pitch)
            match sent.event:
                case Strike(due_ns, owner) as strike:
                    self.echoes.sent(strike, sent.sent_ns)
                    if owner in self._owners:
                        completion, note = self._owners[owner]
                        completion.worst_ns = max(completion.worst_ns, sent.sent_ns - due_ns)
                        self._heard(completion, note)
                case Release(_, owner):
                    self._owners.pop(owner, None)

    def _heard(self, completion: Completion, note: PlannedNote) -> None:
        beat, beats = steps_to_beats(note.start_step), steps_to_beats(note.duration_steps)
        span = self._transport.bar_at(beat)
        self._assembler.played(note, span, self._transport.tempo_bpm)
        self._publish(
            "/rwkv/note/played", completion.request, beat, note.pitch, note.velocity, beats
        )

    def sounds(self, pitch: int) -> bool:
        """Whether a note of ours of this pitch sounds."""
        return pitch in self._lent or any(n.pitch == pitch for _, n in self._owners.values())

    # --- ending --------------------------------------------------------------------------------

    def end(self, beat: float, held: Collection[int] = ()) -> None:
        """Everything of ours ends now, at `beat`, and what sounded is what was heard.

        Notes of pitches that the player holds sound on: on a shared instrument our note-off would
        end the player's note. They end with `let_go`.
        """
        self.follow_output()
        for owner, (completion, note) in self._owners.items():
            if note.pitch in held:
                self._lent[note.pitch] = owner, completion.generation.channel_out - 1
        back = [pitch for pitch in self._lent if pitch not in held]
        ending = set(self._owners) | {self._lent.pop(pitch)[0] for pitch in back}
        self._end(ending - {owner for owner, _ in self._lent.values()}, beat)
        self._owners.clear()
        self._planner.clear()
        self._plans.clear()

    def carry(self, completion: Completion, steps: int, beat: float) -> None:
        """The transport jumps, from `beat`: what is of this completion moves by so many steps, and
        everything else of ours ends."""
        self.follow_output()
        ours = {owner: note for owner, (home, note) in self._owners.items() if home is completion}
        lent = {owner for owner, _ in self._lent.values()}
        self._lent.clear()
        self._end((set(self._owners) | lent) - set(ours), beat)
        self._owners = {owner: (completion, note.moved(steps)) for owner, note in ours.items()}
        self._planner.carry(completion.request, steps)
        self._plans = {completion.request: completion}

    def end_of(self, completion: Completion, beat: float) -> None:
        """The notes of one completion end now, at `beat`."""
        self.follow_output()
        self.drop(completion.request)
        ours = {owner for owner, (home, _) in self._owners.items() if home is completion}
        self._end(ours, beat)

    def _end(self, owners: set[int], beat: float) -> None:
        self._sounds.stop(owners)
        self.follow_output()
        for owner in owners & set(self._owners):
            _, note = self._owners.pop(owner)
            self._assembler.cut(beat, note.pitch)

    def let_go(self, t_ns: int, pitch: int) -> None:
        """The player's key went up: so does ours, if it sounded on under it."""
        if pitch in self._lent:
            owner, channel = self._lent.pop(pitch)
            self._sounds.put(Release(t_ns, owner, channel, pitch))
