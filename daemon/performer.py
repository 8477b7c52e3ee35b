"""Our own part: arms completions, asks the worker for them, plans what it answers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, beats_to_steps, ns_per_step, steps_to_beats

from .assembler import AssembledBar, Assembler
from .completion import Again, Completion, Fresh, Source, deadline_ns, launch_step
from .jumps import LineJump
from .messages import (
    Allow,
    Cancel,
    Generate,
    Generated,
    Message,
    NoteTuple,
    Regenerate,
    Replay,
)
from .parameters import Generation
from .transport import Transport
from .voices import RELEASE_NS, Voices

_ALLOW_STEPS = 3  # the worker is told of the playhead this often


class Performer:
    """One completion plays, one more may be armed; both may have notes on the way."""

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        voices: Voices,
        to_worker: Callable[[Message], None],
        publish: Callable[..., None],
    ) -> None:
        self.playing: Completion | None = None
        self.armed: Completion | None = None  # waits for its place, or for `playing` to end
        self.offered: Completion | None = None  # whose takes the worker has
        self.lead_ns = 0  # how long the worker needs for its first chord, of late
        self._transport = transport
        self._assembler = assembler
        self._voices = voices
        self._to_worker = to_worker
        self._publish = publish

    # --- arming --------------------------------------------------------------------------------

    def place(self, generation: Generation, now_ns: int, *, cuts: bool = False) -> int:
        """The step at which a completion that is asked for now starts: where the one that plays
        ends, or, when it `cuts` that one or none plays, at the next launch point."""
        if self.playing is not None and not cuts:
            return round(self.playing.end_beat(self._transport) * STEPS_PER_BEAT)
        needed = self.lead_ns - generation.nudge_ms * NS_PER_MS
        if generation.quantize != "now":
            needed = max(needed, ns_per_step(self._transport.tempo_bpm) / 2)
        step = launch_step(self._transport, generation.quantize, now_ns, max(round(needed), 0))
        return max(step, 0)  # what is before is counted in

    def place_again(self, completion: Completion, now_ns: int) -> int:
        """The next step at which what this one offered can start: at its place in a bar, or where
        what plays ends because another was to take its place."""
        if self.playing is not None and self.playing.cut_step is not None:
            return self.playing.cut_step
        step = self.place(completion.generation, now_ns, cuts=True)
        span = self._transport.bar_at(steps_to_beats(step))
        place = beats_to_steps(span.start_beat) + completion.first_step
        if place < step:
            place = beats_to_steps(span.end_beat) + completion.first_step
        return place

    def arm(
        self,
        request: int,
        generation: Generation,
        seeds: tuple[int, ...],
        step: int,
        source: Source | None = None,
    ) -> Completion:
        """Let a completion wait for its place; it replaces the one that did."""
        self.disarm()
        first = self._transport.bar_at(steps_to_beats(step))
        self.armed = Completion(request, generation, seeds, step, first, source or Fresh())
        return self.armed

    def disarm(self) -> None:
        """Forget the completion that waits."""
        if self.armed is not None:
            self._recall(self.armed)
        self.armed = None

    def aim_again(self, now_ns: int, jump: LineJump | None) -> None:
        """The place that the armed completion waited for is no more: take the next one, unless it
        has moved with the jump."""
        armed = self.armed
        if armed is None or (jump is not None and armed.start_step == jump.new_step):
            return
        self._recall(armed)
        if armed.cuts:
            armed.start_step = self.place_again(armed, now_ns)
        else:
            armed.start_step = self.place(armed.generation, now_ns)
        armed.first = self._transport.bar_at(steps_to_beats(armed.start_step))

    def _keep_place(self, completion: Completion) -> None:
        """Its place is one in a bar, wherever new meters put that, and not before the end of what
        plays; where it was to start later, it does."""
        line = self._transport.bar(completion.first.number).start_beat
        step = beats_to_steps(line) + completion.first_step
        if self.playing is not None and not completion.cuts:
            step = max(step, beats_to_steps(self.playing.end_beat(self._transport)))
        completion.start_step = step
        completion.first = self._transport.bar_at(steps_to_beats(step))

    def _recall(self, completion: Completion) -> None:
        if completion.generating:
            self._to_worker(Cancel(completion.request))
            self._voices.end_of(completion, steps_to_beats(completion.start_step))
            completion.generating = False

    # --- time ----------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what is due while the transport runs."""
        self._voices.release(now_ns)
        self._finish(now_ns)
        self._launch(now_ns)
        self._allow(now_ns)

    def _launch(self, now_ns: int) -> None:
        armed = self.armed
        if armed is None:
            return
        if not armed.generating:
            self._keep_place(armed)
            if now_ns >= deadline_ns(armed, self._transport, self.lead_ns):
                self._ask(armed, now_ns)
        starts_ns = self._transport.ns_at(steps_to_beats(armed.start_step))
        if not armed.generating or now_ns + RELEASE_NS < starts_ns:
            return
        if self.playing is None:
            self.playing, self.armed = armed, None

    def _ask(self, completion: Completion, now_ns: int) -> None:
        """Everything that the bars before can hold is known: start generating."""
        tempo = self._transport.tempo_bpm
        self._assembler.refresh(self._transport.beat_at(now_ns))
        before = self._transport.beat_at(now_ns) < completion.first.start_beat
        ends = self._transport.bar(completion.first.number - 1)
        played = ends.number >= 0 or self._assembler.has_begun(ends)
        if before and completion.first_step == 0 and played:
            self._assembler.close(ends, tempo)
        bar = self._assembler.bar(completion.first, tempo)
        for message in self._assembler.updates():
            self._to_worker(message)
        horizon = round(completion.generation.horizon_beats * STEPS_PER_BEAT)
        completion.until_steps = completion.first_step + horizon
        completion.generating, completion.asked_ns = True, now_ns
        if completion.source != Again(completion.take):
            self.offered = completion
        if self.playing is not None and completion.cuts:
            self._cut(self.playing, completion.start_step)
        self._to_worker(self._question(completion, bar))

    def _cut(self, completion: Completion, step: int) -> None:
        """The worker leaves it for another, which takes its place from `step` on."""
        if step < beats_to_steps(completion.end_beat(self._transport)):
            completion.cut_step = step
            self._voices.drop(completion.request, step)

    def _question(self, completion: Completion, bar: AssembledBar) -> Message:
        """What the worker is asked for: something new, or what it has offered before."""
        until_steps = completion.until_steps
        match completion.source:
            case Again(None):
                return Regenerate(completion.request, completion.seeds, until_steps)
            case Again(take) if take is not None:
                return Replay(completion.request, take, until_steps)
        return Generate(
            request=completion.request,
            bar=bar.serial,
            bars=completion.bars,
            first_step=completion.first_step,
            meter=str(completion.first.meter),
            tempo_bpm=bar.tempo_bpm,
            until_steps=until_steps,
            seeds=completion.seeds,
            let_ring=bool(completion.generation.let_ring),
            wishes=asdict(completion.generation),
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
            tempo = self._assembler.tempo(span, tempo)
        self._to_worker(Allow(completion.request, until, str(span.meter), tempo))

    def _finish(self, now_ns: int) -> None:
        """A completion is over at its last bar line, and its notes may ring on; or where another
        has taken its place, and then they end."""
        completion = self.playing
        if completion is None:
            return
        if self._transport.beat_at(now_ns) >= completion.end_beat(self._transport):
            if completion.cut_step is not None:
                self._voices.end_of(completion, steps_to_beats(completion.cut_step))
            self._end_playing()

    # --- the worker's answers ------------------------------------------------------------------

    def of_request(self, request: int) -> Completion | None:
        """The completion of this number, while it is being made or played."""
        for completion in (self.playing, self.armed):
            if completion is not None and completion.request == request and completion.generating:
                return completion
        return None

    def take_note(self, request: int, bar: int, note: NoteTuple, now_ns: int) -> None:
        """Plan a note; one whose time has come goes out at once."""
        completion = self.of_request(request)
        if completion is None:
            return
        planned = completion.planned(self._transport, bar, note)
        if completion.cut_step is not None and planned.start_step >= completion.cut_step:
            return
        self._measure_lead(completion, planned.start_step, now_ns)
        completion.notes += 1
        self._voices.plan(completion, planned)
        self._voices.release(now_ns)

    def _measure_lead(self, completion: Completion, step: int, now_ns: int) -> None:
        """The worst of late: a chord whose last tone is late is heard as a mistake. A first note
        beyond the first horizon had to wait, and says nothing."""
        if completion.first_onset is None:
            completion.first_onset = step
            self.lead_ns = round(0.9 * self.lead_ns)
        horizon = completion.generation.horizon_beats * STEPS_PER_BEAT
        if completion.first_onset == step < completion.start_step + horizon:
            self.lead_ns = max(self.lead_ns, now_ns - completion.asked_ns)

    def take_end(self, answer: Generated) -> None:
        """The worker has made the last note of a take."""
        self._publish(
            "/rwkv/take", answer.request, answer.take, answer.bars, answer.notes, answer.seed
        )
        completion = self.of_request(answer.request)
        if completion is not None and completion.take == answer.take:
            completion.generated = True

    # --- ending --------------------------------------------------------------------------------

    def end(self, beat: float, held: Collection[int] = ()) -> None:
        """Stop what plays, at `beat`; what the player holds sounds on (see Voices.end)."""
        self._voices.end(beat, held)
        self._end_playing()

    def leave(self, beat: float, jump: LineJump | None) -> None:
        """The transport has jumped from `beat`. What plays ends; but what begins on a line that
        has only moved goes with it."""
        carried = None
        for completion in (self.playing, self.armed):
            if completion is not None and jump is not None and completion.begins(jump.old_step):
                carried = carried or completion
        if carried is None or jump is None:
            self.end(beat)
            return
        self._voices.carry(carried, jump.steps, beat)
        carried.move(jump.steps, jump.span)
        if carried is self.armed:
            self._end_playing()

    def _end_playing(self) -> None:
        completion, self.playing = self.playing, None
        if completion is not None:
            if not completion.generated:
                self._to_worker(Cancel(completion.request))
            self._done(completion)

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
