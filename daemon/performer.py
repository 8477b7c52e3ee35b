"""Our own part: arms completions, asks the worker for them, plans what it answers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, beats_to_steps, ns_per_step, steps_to_beats

from .asking import Asking
from .assembler import Assembler
from .completion import (
    MARGIN_NS,
    Again,
    Completion,
    Source,
    deadline_ns,
    latest_ns,
    launch_step,
)
from .jumps import LineJump
from .messages import Generated, Proposed
from .parameters import Generation
from .transport import Transport
from .voices import Voices


class Performer:
    """One completion plays, one more may be armed; both may have notes on the way."""

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        voices: Voices,
        asking: Asking,
        publish: Callable[..., None],
    ) -> None:
        self.playing: Completion | None = None
        self.armed: Completion | None = None  # waits for its place, or for `playing` to end
        self.offered: Completion | None = None  # whose takes the worker has
        self.lead = asking.lead
        self._transport = transport
        self._assembler = assembler
        self._voices = voices
        self._asking = asking
        self._publish = publish

    # --- arming --------------------------------------------------------------------------------

    def place(self, generation: Generation, now_ns: int, *, cuts: bool = False) -> int:
        """The step at which a completion that is asked for now starts: where the one that plays
        ends, or, when that is too near and nothing waits there, or it `cuts` that one or none
        plays, at the next launch point."""
        needed_ns = max(round(self.lead.ns(generation.takes) - generation.nudge_ms * NS_PER_MS), 0)
        earliest_ns = now_ns
        if self.playing is not None and not cuts:
            ends = self.playing.end_beat(self._transport)
            earliest_ns = self._transport.ns_at(ends) - needed_ns
            if self._armed_follows() or now_ns + MARGIN_NS <= earliest_ns:
                return beats_to_steps(ends)
        if generation.quantize != "now":
            needed_ns = max(needed_ns, round(ns_per_step(self._transport.tempo_bpm) / 2))
        earliest_ns = max(earliest_ns, now_ns)
        step = launch_step(self._transport, generation.quantize, earliest_ns, needed_ns)
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
        source: Source,
    ) -> Completion:
        """Let a completion wait for its place; it replaces the one that did."""
        self.disarm()
        first = self._transport.bar_at(steps_to_beats(step))
        self.armed = Completion(request, generation, seeds, step, first, source)
        return self.armed

    def disarm(self) -> None:
        """Forget the completion that waits."""
        if self.armed is not None:
            self._recall(self.armed)
        self.armed = None

    @property
    def needs_worker(self) -> bool:
        """Whether the worker makes what plays or is armed, or keeps what that is to be."""
        armed = self.armed
        waits = armed is not None and (armed.generating or armed.cuts)
        return self.playing is not None or waits

    def ask_again(self) -> None:
        """What the worker was asked for with the armed completion has moved: it will be asked for
        anew."""
        if self.armed is not None:
            self._recall(self.armed)

    def aim_again(self, now_ns: int, moved: Completion | None) -> None:
        """The place that the armed completion waited for is no more: take the next one, unless it
        has moved with the jump."""
        armed = self.armed
        if armed is None or armed is moved:
            return
        self._recall(armed)
        if armed.cuts:
            armed.aim(self.place_again(armed, now_ns), self._transport)
        else:
            armed.aim(self.place(armed.generation, now_ns), self._transport)

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
            self._asking.cancel(completion)
            self._voices.end_of(completion, steps_to_beats(completion.start_step))
            completion.recall()

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
            if now_ns >= deadline_ns(armed, self._transport, self._lead_ns(armed)):
                self._ask(armed, now_ns)
        starts_ns = self._transport.ns_at(steps_to_beats(armed.start_step))
        if not armed.generating or now_ns + self._voices.release_ns < starts_ns:
            return
        if self.playing is None:
            self.playing, self.armed = armed, None

    def _ask(self, completion: Completion, now_ns: int) -> None:
        """Everything that the bars before can hold is known: start generating."""
        tempo, beat = self._transport.tempo_bpm, self._transport.beat_at(now_ns)
        self._assembler.refresh(beat)
        for number in range(self._transport.bar_at(beat).number, completion.first.number):
            ends = self._transport.bar(number)
            self._assembler.bar(ends, tempo)  # bars begin in their order
            follows = number + 1 == completion.first.number and completion.first_step == 0
            if follows and (number >= 0 or self._assembler.has_notes(ends)):
                self._assembler.close(ends, tempo)
        bar = self._assembler.bar(completion.first, tempo)
        completion.ask(now_ns)
        self._let_end(completion)
        self._asking.ask(completion, bar, self.offered, now_ns)
        if completion.source != Again(completion.take):
            self.offered = completion

    def _let_end(self, next_one: Completion) -> None:
        """What plays is made to its end, or to where the next one takes its place, before that."""
        if self.playing is not None:
            if next_one.cuts:
                self._cut(self.playing, next_one.start_step)
            end = beats_to_steps(self.playing.end_beat(self._transport))
            self._asking.allow_until(self.playing, end)

    def _cut(self, completion: Completion, step: int) -> None:
        """Another one takes its place from `step` on."""
        if step < beats_to_steps(completion.end_beat(self._transport)):
            completion.cut_step = step
            self._voices.drop(completion.request, step)

    def _allow(self, now_ns: int) -> None:
        """Let the worker go on with what it was asked for last."""
        armed = self.armed
        completion = armed if armed is not None and armed.generating else self.playing
        if completion is not None:
            self._asking.allow(completion, now_ns)

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

    def is_armed(self, request: int) -> bool:
        """Whether the completion of this number waits."""
        return self.armed is not None and self.armed.request == request

    # --- the worker's answers ------------------------------------------------------------------

    def of_request(self, request: int) -> Completion | None:
        """The completion of this number, while it is being made or played."""
        for completion in (self.playing, self.armed):
            if completion is not None and completion.request == request and completion.generating:
                return completion
        return None

    def take_note(self, message: Proposed, now_ns: int) -> None:
        """Plan a note; one whose time has come goes out at once."""
        completion = self.of_request(message.request)
        onset = message.note[0]
        if completion is None or not completion.holds(message.bar, onset, message.edition):
            return
        planned = completion.planned(self._transport, message.bar, message.note)
        cut = completion.cut_step
        if planned is None or (cut is not None and planned.start_step >= cut):
            return
        if message.edition == completion.asked_edition:
            self._measure_lead(completion, planned.start_step, now_ns)
        self._voices.plan(completion, planned)
        self._voices.release(now_ns)

    def _lead_ns(self, completion: Completion) -> int:
        return self.lead.ns(len(completion.seeds))

    def _measure_lead(self, completion: Completion, step: int, now_ns: int) -> None:
        """A first note beyond the first horizon had to wait, and says nothing."""
        horizon = completion.generation.horizon_beats * STEPS_PER_BEAT
        if step >= completion.start_step + horizon:
            return
        if completion.first_onset is None:
            completion.first_onset = step
            self.lead.begin(len(completion.seeds))
        if completion.first_onset == step:
            self.lead.measure(len(completion.seeds), now_ns - completion.asked_ns)

    def take_end(self, answer: Generated) -> None:
        """The worker has made the last note of a take, unless it has been revised meanwhile."""
        completion = self.of_request(answer.request)
        if completion is not None and answer.edition < completion.edition:
            return
        self._publish(
            "/rwkv/take", answer.request, answer.take, answer.bars, answer.notes, answer.seed
        )
        if completion is not None and completion.take == answer.take:
            completion.generated = True

    # --- ending --------------------------------------------------------------------------------

    def end(self, beat: float, held: Collection[int] = ()) -> None:
        """Stop what plays, at `beat`; what the player holds sounds on (see Voices.end)."""
        self._voices.end(beat, held)
        self._end_playing()

    def end_early(self, now_ns: int, held: Collection[int] = ()) -> None:
        """Stop what plays, before its end. What is armed is asked for again, as something else will
        have been heard: for its place or, where that is too near or was that end, for the next."""
        armed, follows = self.armed, self._armed_follows()
        self.end(self._transport.beat_at(now_ns), held)
        if armed is not None:
            self._recall(armed)
            if follows or now_ns > latest_ns(armed, self._transport, self._lead_ns(armed)):
                self.aim_again(now_ns, None)

    def _armed_follows(self) -> bool:
        """Whether what is armed waits for the end of what plays."""
        if self.playing is None or self.armed is None:
            return False
        return self.armed.start_step == beats_to_steps(self.playing.end_beat(self._transport))

    def leave(self, beat: float, jump: LineJump | None) -> Completion | None:
        """The transport has jumped from `beat`. What plays ends; but what begins on a line that
        has only moved goes with it, and is the answer."""
        carried = None
        for completion in (self.playing, self.armed):
            if completion is not None and jump is not None and completion.begins(jump.old_step):
                carried = carried or completion
        if carried is None or jump is None:
            self.end(beat)
            return None
        carried.move(jump.steps, jump.span)
        self._voices.carry(carried, jump.steps, beat)
        if carried is self.armed:
            self._end_playing()
        return carried

    def _end_playing(self) -> None:
        completion, self.playing = self.playing, None
        if completion is not None:
            if not completion.generated:
                self._asking.cancel(completion)
            self._done(completion)

    def _done(self, completion: Completion) -> None:
        self._publish(
            "/rwkv/done",
            completion.request,
            completion.bars,
            completion.notes + self._voices.to_come(completion.request),
            completion.late,
            completion.dropped,
            completion.worst_ns / NS_PER_MS,
        )
