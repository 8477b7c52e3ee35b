"""Our own voice: arms completions, asks the worker for them, and releases their notes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Protocol

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, ns_per_step, steps_to_beats

from .assembler import Assembler
from .completion import Completion, deadline_ns, launch_step
from .messages import Allow, Cancel, Generate, Message, NoteTuple
from .parameters import Generation
from .planner import PlannedNote, Planner
from .scheduler import Event, Release, Sent, Strike
from .transport import Transport

_RELEASE_NS = 8 * NS_PER_MS  # so long before its time a note goes to the output
_ALLOW_STEPS = 3  # the worker is told of the playhead this often
_ECHO_NS = 50 * NS_PER_MS


class Sounds(Protocol):
    """The output, as far as it concerns the pure part."""

    def put(self, *events: Event) -> None: ...
    def stop(self, owners: set[int] | None = None) -> None: ...
    def take_sent(self) -> list[Sent]: ...


class Performer:
    """One completion plays, one more may be armed; both may have notes on the way.

    What really goes out is told to the assembler, as a part of what is heard.
    """

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        sounds: Sounds,
        to_worker: Callable[[Message], None],
        publish: Callable[..., None],
    ) -> None:
        self.playing: Completion | None = None
        self.armed: Completion | None = None  # waits for its place, or for `playing` to end
        self.lead_ns = 0  # how long the worker needs for its first chord, of late
        self._transport = transport
        self._assembler = assembler
        self._sounds = sounds
        self._to_worker = to_worker
        self._publish = publish
        self._planner = Planner()
        self._owner = 0
        self._owners: dict[int, tuple[Completion, PlannedNote]] = {}  # who sounds, or will at once
        self._last_sent: dict[int, tuple[int, int]] = {}  # pitch -> when, velocity
        self._lent: dict[int, tuple[int, int]] = {}  # pitch -> owner, channel: see `end`

    # --- arming --------------------------------------------------------------------------------

    def place(self, generation: Generation, now_ns: int) -> int:
        """The step at which a completion that is asked for now starts."""
        if self.playing is not None:
            return round(self.playing.end_beat(self._transport) * STEPS_PER_BEAT)
        needed = self.lead_ns - generation.nudge_ms * NS_PER_MS
        if generation.quantize != "now":
            needed = max(needed, ns_per_step(self._transport.tempo_bpm) / 2)
        return launch_step(self._transport, generation.quantize, now_ns, max(round(needed), 0))

    def arm(self, request: int, generation: Generation, seed: int, step: int) -> Completion:
        """Let a completion wait for its place; it replaces the one that did."""
        self.disarm()
        first = self._transport.bar_at(steps_to_beats(step))
        self.armed = Completion(request, generation, seed, step, first)
        return self.armed

    def disarm(self) -> None:
        """Forget the completion that waits."""
        if self.armed is not None:
            self._recall(self.armed)
        self.armed = None

    def aim_again(self, now_ns: int) -> None:
        """The place that the armed completion waited for is no more: take the next one."""
        if self.armed is not None:
            self._recall(self.armed)
            self._aim(self.armed, now_ns)

    def _aim(self, completion: Completion, now_ns: int) -> None:
        completion.start_step = self.place(completion.generation, now_ns)
        completion.first = self._transport.bar_at(steps_to_beats(completion.start_step))

    def _recall(self, completion: Completion) -> None:
        if completion.generating:
            self._to_worker(Cancel(completion.request))
            self._planner.drop(completion.request)
            completion.generating = False

    # --- time ----------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what is due while the transport runs."""
        self._finish(now_ns)
        self._launch(now_ns)
        self._allow(now_ns)
        self._release(now_ns)

    def _launch(self, now_ns: int) -> None:
        armed = self.armed
        if armed is None:
            return
        if not armed.generating:
            if self.playing is not None:
                self._aim(armed, now_ns)  # its end moves with the meter
            if now_ns >= deadline_ns(armed, self._transport, self.lead_ns):
                self._ask(armed, now_ns)
        starts_ns = self._transport.ns_at(steps_to_beats(armed.start_step))
        if armed.generating and self.playing is None and now_ns + _RELEASE_NS >= starts_ns:
            self.playing, self.armed = armed, None

    def _ask(self, completion: Completion, now_ns: int) -> None:
        """Everything that the bars before can hold is known: start generating."""
        tempo = self._transport.tempo_bpm
        self._assembler.refresh(self._transport.beat_at(now_ns))
        if completion.first_step == 0 and completion.first.number > 0:
            self._assembler.close(self._transport.bar(completion.first.number - 1), tempo)
        bar = self._assembler.bar(completion.first, tempo)
        for message in self._assembler.updates():
            self._to_worker(message)
        horizon = round(completion.generation.horizon_beats * STEPS_PER_BEAT)
        completion.until_steps = completion.first_step + horizon
        completion.generating, completion.asked_ns = True, now_ns
        self._to_worker(
            Generate(
                request=completion.request,
                bar=bar.serial,
                bars=completion.bars,
                first_step=completion.first_step,
                meter=str(completion.first.meter),
                tempo_bpm=bar.tempo_bpm,
                until_steps=completion.until_steps,
                seed=completion.seed,
                let_ring=bool(completion.generation.let_ring),
                wishes=asdict(completion.generation),
            )
        )

    def _allow(self, now_ns: int) -> None:
        """Let the worker go on to the horizon."""
        completion = self.playing
        if completion is None:
            return
        ahead = self._transport.beat_at(now_ns) + completion.generation.horizon_beats
        until = int(ahead * STEPS_PER_BEAT) - completion.line_step
        if until < completion.until_steps + _ALLOW_STEPS:
            return
        completion.until_steps = until
        span = self._transport.bar_at(ahead)
        tempo = self._transport.tempo_bpm
        if span.number < completion.first.number + completion.bars:
            tempo = self._assembler.bar(span, tempo).tempo_bpm
        self._to_worker(Allow(completion.request, until, str(span.meter), tempo))

    def _release(self, now_ns: int) -> None:
        """Give the output what is due within the next milliseconds."""
        active = [c.generation.nudge_ms for c in (self.playing, self.armed) if c is not None]
        nudge_ns = round(min(active, default=0.0) * NS_PER_MS)
        before = self._transport.beat_at(now_ns + _RELEASE_NS - nudge_ns) * STEPS_PER_BEAT
        for note in self._planner.starting(before):
            completion = self.of_request(note.request)
            if completion is not None:
                self._strike(completion, note)
        for note, owner in self._planner.ending(before):
            if owner in self._owners:
                generation = self._owners[owner][0].generation
                due_ns = self._due_ns(note.end_step, generation)
                self._sounds.put(Release(due_ns, owner, generation.channel_out - 1, note.pitch))

    def _strike(self, completion: Completion, note: PlannedNote) -> None:
        self._owner += 1
        self._owners[self._owner] = completion, note
        self._planner.started(note, self._owner)
        generation = completion.generation
        due_ns = self._due_ns(note.start_step, generation)
        channel = generation.channel_out - 1
        self._sounds.put(Strike(due_ns, self._owner, channel, note.pitch, note.velocity))

    def _due_ns(self, step: int, generation: Generation) -> int:
        nudge_ns = round(generation.nudge_ms * NS_PER_MS)
        return self._transport.ns_at(steps_to_beats(step)) + nudge_ns

    def _finish(self, now_ns: int) -> None:
        """A completion is over at its last bar line; its notes may ring on."""
        completion = self.playing
        if completion is None:
            return
        if self._transport.beat_at(now_ns) >= completion.end_beat(self._transport):
            self.playing = None
            if not completion.generated:
                self._to_worker(Cancel(completion.request))
            self._done(completion)

    # --- the worker's answers ------------------------------------------------------------------

    def of_request(self, request: int) -> Completion | None:
        """The completion of this number, while it is being made or played."""
        for completion in (self.playing, self.armed):
            if completion is not None and completion.request == request and completion.generating:
                return completion
        return None

    def take_note(self, request: int, bar: int, note: NoteTuple, now_ns: int) -> None:
        """Plan a note; when its time has passed, play it at once or drop it whole."""
        completion = self.of_request(request)
        if completion is None:
            return
        self._measure_lead(completion, bar, note[0], now_ns)
        planned = completion.planned(self._transport, bar, note)
        late_ns = now_ns - self._due_ns(planned.start_step, completion.generation)
        if late_ns > 0:
            completion.late += 1
            completion.worst_ns = max(completion.worst_ns, late_ns)
            if late_ns > completion.generation.late_tolerance_ms * NS_PER_MS:
                completion.dropped += 1
                return
        completion.notes += 1
        self._planner.add(planned)
        self._release(now_ns)

    def _measure_lead(self, completion: Completion, bar: int, onset: int, now_ns: int) -> None:
        """The worst of late: a chord whose last tone is late is heard as a mistake."""
        taken_ns = now_ns - completion.asked_ns
        if completion.first_onset is None:
            completion.first_onset = bar, onset
            self.lead_ns = round(0.9 * self.lead_ns + 0.1 * taken_ns)
        if completion.first_onset == (bar, onset):
            self.lead_ns = max(self.lead_ns, taken_ns)

    def take_end(self, request: int, bars: int, notes: int, seed: int) -> None:
        """The worker has made the last note."""
        completion = self.of_request(request)
        if completion is not None:
            completion.generated = True
            self._publish("/rwkv/take", request, 0, bars, notes, seed)

    # --- what has gone out ---------------------------------------------------------------------

    def follow_output(self) -> None:
        """Hear what has really gone out."""
        for sent in self._sounds.take_sent():
            if sent.cut is not None and sent.cut in self._owners:
                _, note = self._owners.pop(sent.cut)
                self._assembler.cut(self._transport.beat_at(sent.sent_ns), note.pitch)
            match sent.event:
                case Strike(due_ns, owner) if owner in self._owners:
                    completion, note = self._owners[owner]
                    completion.worst_ns = max(completion.worst_ns, sent.sent_ns - due_ns)
                    self._last_sent[note.pitch] = sent.sent_ns, note.velocity
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

    def is_echo(self, t_ns: int, pitch: int, velocity: int) -> bool:
        """Whether a note that comes in is one of ours that went out just before."""
        sent = self._last_sent.get(pitch)
        return sent is not None and sent[1] == velocity and 0 <= t_ns - sent[0] <= _ECHO_NS

    # --- stopping ------------------------------------------------------------------------------

    def end(self, beat: float, held: Collection[int] = ()) -> None:
        """Stop what plays, at `beat`: its notes end now, and what sounded is what was heard.

        Notes of pitches that the player holds sound on: on a shared instrument our note-off would
        end the player's note. They end with `let_go`.
        """
        self.follow_output()
        for owner, (home, note) in self._owners.items():
            if note.pitch in held:
                self._lent[note.pitch] = owner, home.generation.channel_out - 1
        lent = {owner for owner, _ in self._lent.values()}
        self._sounds.stop(set(self._owners) - lent)
        self.follow_output()
        for _, note in self._owners.values():
            self._assembler.cut(beat, note.pitch)
        self._owners.clear()
        self._planner.clear()
        completion, self.playing = self.playing, None
        if completion is not None:
            if not completion.generated:
                self._to_worker(Cancel(completion.request))
            self._done(completion)

    def let_go(self, t_ns: int, pitch: int) -> None:
        """The player's key went up: so does ours, if it sounded on under it."""
        if pitch in self._lent:
            owner, channel = self._lent.pop(pitch)
            self._sounds.put(Release(t_ns, owner, channel, pitch))

    def _done(self, completion: Completion) -> None:
        self._publish(
            "/rwkv/done",
            completion.request,
            completion.bars,
            completion.notes,
            completion.late,
            completion.dropped,
            completion.worst_ns / NS_PER_MS,
        )
