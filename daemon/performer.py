"""Our own part: arms completions, asks the worker for them, plans what it answers. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import asdict

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, beats_to_steps, ns_per_step, steps_to_beats

from .assembler import AssembledBar, Assembler
from .completion import (
    Again,
    Completion,
    Fresh,
    Source,
    deadline_ns,
    latest_ns,
    launch_step,
)
from .jumps import LineJump
from .lead import Lead
from .messages import (
    Allow,
    Cancel,
    Generate,
    Generated,
    Header,
    Message,
    Proposed,
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
        self.lead = Lead()
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
        needed = self.lead.ns - generation.nudge_ms * NS_PER_MS
        if generation.quantize != "now":
            needed = max(needed, ns_per_step(self._transport.tempo_bpm) / 2)
        return launch_step(self._transport, generation.quantize, now_ns, max(round(needed), 0))

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

    @property
    def armed_follows(self) -> bool:
        """Whether what is armed waits for the end of what plays."""
        if self.playing is None or self.armed is None:
            return False
        return self.armed.start_step == beats_to_steps(self.playing.end_beat(self._transport))

    def make_anew(self, now_ns: int, *, follows: bool) -> None:
        """What has been heard has changed, and with it what is armed: it is asked for again, for
        its place or, where that is too near or what it `follows` is over, for the next one."""
        if self.armed is None:
            return
        self._recall(self.armed)
        is_late = now_ns > latest_ns(self.armed, self._transport, self.lead.ns)
        if follows or is_late:
            self.aim_again(now_ns, None)

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
            if now_ns >= deadline_ns(armed, self._transport, self.lead.ns):
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
        if before and completion.first_step == 0 and completion.first.number > 0:
            self._assembler.close(self._transport.bar(completion.first.number - 1), tempo)
        bar = self._assembler.bar(completion.first, tempo)
        for message in self._assembler.updates():
            self._to_worker(message)
        completion.generating, completion.asked_ns = True, now_ns
        completion.revisions.clear()
        self._let_end(completion)
        made_before = self.offered.headers if completion.cuts and self.offered is not None else ()
        completion.headers = list(made_before) or [(completion.first.meter, bar.tempo_bpm)]
        if completion.source != Again(completion.take):
            self.offered = completion
        self._to_worker(self._question(completion, bar))
        horizon = round(completion.generation.horizon_beats * STEPS_PER_BEAT)
        ahead = self._horizon_step(completion, now_ns)
        self._allow_until(completion, max(completion.start_step + horizon, ahead))

    def _let_end(self, next_one: Completion) -> None:
        """What plays is made to its end, or to where the next one takes its place, before that."""
        if self.playing is not None:
            if next_one.cuts:
                self._cut(self.playing, next_one.start_step)
            end = beats_to_steps(self.playing.end_beat(self._transport))
            self._allow_until(self.playing, end)

    def _cut(self, completion: Completion, step: int) -> None:
        """Another one takes its place from `step` on."""
        if step < beats_to_steps(completion.end_beat(self._transport)):
            completion.cut_step = step
            self._voices.drop(completion.request, step)

    def _question(self, completion: Completion, bar: AssembledBar) -> Message:
        """What the worker is asked for: something new, or what it has offered before."""
        wishes, nothing_yet = asdict(completion.generation), (0, 0)
        let_ring = bool(completion.generation.let_ring)
        match completion.source:
            case Again(None):
                return Regenerate(
                    completion.request, completion.seeds, nothing_yet, let_ring, wishes
                )
            case Again(take) if take is not None:
                return Replay(completion.request, take, nothing_yet)
        return Generate(
            request=completion.request,
            bar=bar.serial,
            bars=completion.bars,
            first_step=completion.first_step,
            meter=str(completion.first.meter),
            tempo_bpm=bar.tempo_bpm,
            until=nothing_yet,
            seeds=completion.seeds,
            let_ring=let_ring,
            wishes=wishes,
        )

    def _allow(self, now_ns: int) -> None:
        """Let the worker go on to the horizon."""
        armed = self.armed
        completion = armed if armed is not None and armed.generating else self.playing
        if completion is None:
            return
        step = self._horizon_step(completion, now_ns)
        if step >= completion.until_step + _pace(completion):
            self._allow_until(completion, step)

    def _allow_until(self, completion: Completion, step: int) -> None:
        completion.until_step = step
        until = completion.place(step, self._transport)
        for bar in range(len(completion.headers), min(until[0] + 1, completion.bars)):
            self.tell_header(completion, bar)
        self._to_worker(Allow(completion.request, until))

    def tell_header(self, completion: Completion, bar: int) -> None:
        """Tell the worker meter and tempo of a bar and, until it is told otherwise, of those after
        it."""
        span = self._transport.bar(completion.first.number + bar)
        header = span.meter, self._assembler.tempo(span, self._transport.tempo_bpm)
        is_new = not completion.headers[bar - 1 : bar] or completion.headers[bar - 1] != header
        if is_new or len(completion.headers) > bar:
            self._to_worker(Header(completion.request, bar, str(header[0]), header[1]))
        completion.headers[bar:] = [header]

    def _horizon_step(self, completion: Completion, now_ns: int) -> int:
        """Where generation has to wait for the playhead: at the horizon, or further on where notes
        are sent so early, or take so long, that they would be late."""
        horizon = self._transport.beat_at(now_ns) + completion.generation.horizon_beats
        needed_ns = RELEASE_NS + self.lead.ns - min(completion.least_nudge_ns, 0)
        needed = self._transport.beat_at(now_ns + needed_ns) * STEPS_PER_BEAT + _pace(completion)
        return max(int(horizon * STEPS_PER_BEAT), math.ceil(needed))

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
        if message.edition == 0:
            self._measure_lead(completion, planned.start_step, now_ns)
        self._voices.plan(completion, planned)
        self._voices.release(now_ns)

    def _measure_lead(self, completion: Completion, step: int, now_ns: int) -> None:
        """A first note beyond the first horizon had to wait, and says nothing."""
        horizon = completion.generation.horizon_beats * STEPS_PER_BEAT
        if step >= completion.start_step + horizon:
            return
        if completion.first_onset is None:
            completion.first_onset = step
            self.lead.begin()
        if completion.first_onset == step:
            self.lead.measure(now_ns - completion.asked_ns)

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
        self._voices.carry(carried, jump.steps, beat)
        carried.move(jump.steps, jump.span)
        if carried is self.armed:
            self._end_playing()
        return carried

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
            completion.notes + self._voices.to_come(completion.request),
            completion.late,
            completion.dropped,
            completion.worst_ns / NS_PER_MS,
        )


def _pace(completion: Completion) -> int:
    """How many steps lie between two looks at the playhead: few where the horizon is near."""
    horizon = completion.generation.horizon_beats * STEPS_PER_BEAT
    return min(_ALLOW_STEPS, math.ceil(horizon / 4))
