"""A completion from its trigger to its last note: where it starts, how it went. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rwkv_music.music import STEPS_PER_BEAT, Meter
from rwkv_music.timebase import NS_PER_MS, beats_to_steps, ns_per_step, steps_to_beats

from .messages import NoteTuple, Place
from .parameters import Generation
from .planner import PlannedNote
from .transport import BarSpan, Transport

MARGIN_NS = 4 * NS_PER_MS  # the io loop looks every 2 ms
_ALWAYS = -(2**62)  # a step before all others
_FROM_THE_START: Place = (-1, 0)  # revised from there on, nothing that was made holds


@dataclass(frozen=True, slots=True)
class Fresh:
    """From what has been heard."""


@dataclass(frozen=True, slots=True)
class Again:
    """A take of the last request once more; none: new ones, from the same state."""

    take: int | None


Source = Fresh | Again


@dataclass(slots=True)
class Completion:
    """One request. `start_step` counts from the transport's beat 0; `first` is the bar it lies in.

    `until_step`, counted like that too, is how far the worker may go, and `headers` are meter and
    tempo of each of its bars, as far as the worker knows them.
    """

    request: int
    generation: Generation
    seeds: tuple[int, ...]
    start_step: int
    first: BarSpan
    source: Source = field(default_factory=Fresh)
    until_step: int = 0
    headers: list[tuple[Meter, float]] = field(default_factory=list)
    generating: bool = False  # the worker was asked
    generated: bool = False  # the worker has made the last note
    asked_ns: int = 0
    asked_edition: int = 0
    first_onset: int | None = None  # step of the first note that came
    cut_step: int | None = None  # where another takes its place; the worker has left it
    notes: int = 0  # that have sounded
    late: int = 0
    dropped: int = 0
    worst_ns: int = 0
    revisions: list[Place] = field(default_factory=list)
    _nudges: list[tuple[int, float]] = field(default_factory=list, init=False)  # from a step on, ms

    @property
    def take(self) -> int:
        """Which take of its request it plays."""
        return self.source.take or 0 if isinstance(self.source, Again) else 0

    @property
    def cuts(self) -> bool:
        """Whether it takes the place of a completion that plays, instead of following it."""
        return isinstance(self.source, Again)

    @property
    def bars(self) -> int:
        return self.generation.bars

    @property
    def edition(self) -> int:
        """How often it was revised, or asked for anew."""
        return len(self.revisions)

    def ask(self, now_ns: int) -> None:
        """The worker is asked for it."""
        self.generating, self.asked_ns = True, now_ns
        self.asked_edition, self.first_onset = self.edition, None

    def recall(self) -> None:
        """The worker is asked no more: what it has made, and what is on its way, is nothing."""
        self.generating = self.generated = False
        self.revisions.append(_FROM_THE_START)

    @property
    def line_step(self) -> int:
        """The step of the line of its first bar."""
        return round(self.first.start_beat * STEPS_PER_BEAT)

    @property
    def first_step(self) -> int:
        """Where it starts inside its first bar."""
        return self.start_step - self.line_step

    def end_beat(self, transport: Transport) -> float:
        """The bar line after its last bar, with the meters that hold now; or where it is cut."""
        if self.cut_step is not None:
            return steps_to_beats(self.cut_step)
        return transport.bar(self.first.number + self.bars - 1).end_beat

    def place(self, step: int, transport: Transport) -> Place:
        """The bar of its own that this step lies in, from 0, and the step in that."""
        span = transport.bar_at(steps_to_beats(step))
        return span.number - self.first.number, step - beats_to_steps(span.start_beat)

    def changed_bar(self, transport: Transport) -> int | None:
        """The first bar of which the worker knows another meter than the one it has now."""
        if not self.headers or self._has(len(self.headers) - 1, transport):
            return None  # a meter holds until the next one
        return next(bar for bar in range(len(self.headers)) if not self._has(bar, transport))

    def _has(self, bar: int, transport: Transport) -> bool:
        return transport.bar(self.first.number + bar).meter == self.headers[bar][0]

    def begins(self, step: int) -> bool:
        """Whether it begins on this bar line, and nothing has taken its place since."""
        return self.start_step == step and self.first_step == 0 and self.cut_step is None

    def aim(self, step: int, transport: Transport) -> None:
        """Let it start on this step of the transport's present numbering."""
        self.start_step, self.first = step, transport.bar_at(steps_to_beats(step))
        self._nudges.clear()

    def move(self, steps: int, first: BarSpan) -> None:
        """The transport has jumped, and its first bar with it."""
        self.start_step += steps
        self.until_step += steps
        self.first = first
        self._nudges = [(step + steps, nudge_ms) for step, nudge_ms in self._nudges]
        if self.first_onset is not None:
            self.first_onset += steps

    # --- parameters that change on the way -----------------------------------------------------

    def nudge_from(self, step: int, nudge_ms: float) -> None:
        """Let notes from this step on go out so much later than their place; earlier ones, which
        may be due already, go out as before."""
        before = self._nudges or [(_ALWAYS, self.generation.nudge_ms)]
        kept = [entry for entry in before if entry[0] < step]
        self._nudges = [*kept, (step, nudge_ms)] if step > self.start_step else []

    def nudge_ns(self, step: int) -> int:
        """How much later than its place a note on this step goes out."""
        held = (nudge_ms for first, nudge_ms in reversed(self._nudges) if first <= step)
        return round(next(held, self.generation.nudge_ms) * NS_PER_MS)

    @property
    def least_nudge_ns(self) -> int:
        """The least that any note of it has."""
        nudges = [nudge_ms for _, nudge_ms in self._nudges]
        return round(min(nudges, default=self.generation.nudge_ms) * NS_PER_MS)

    def revise(self, step: int, transport: Transport) -> Place:
        """Let it be made anew from this step on; its place."""
        place = self.place(step, transport)
        self.revisions.append(place)
        self.generated = False
        return place

    def holds(self, bar: int, onset: int, edition: int) -> bool:
        """Whether a note still counts that the worker has made for this edition."""
        return all((bar, onset) < place for place in self.revisions[edition:])

    # --- its notes -----------------------------------------------------------------------------

    def in_time(self, late_ns: int) -> bool:
        """Whether a note that would go out so late still goes out; it is counted."""
        if late_ns > 0:
            self.late += 1
            self.worst_ns = max(self.worst_ns, late_ns)
        if late_ns > self.generation.late_tolerance_ms * NS_PER_MS:
            self.dropped += 1
            return False
        return True

    def planned(self, transport: Transport, bar: int, note: NoteTuple) -> PlannedNote | None:
        """A note of its bar `bar`, in the transport's steps; None for one that lies beyond the bar,
        as it was made before that had a shorter meter."""
        onset, pitch, velocity, duration = note
        span = transport.bar(self.first.number + bar)
        if onset >= span.meter.steps:
            return None
        line = beats_to_steps(span.start_beat)
        return PlannedNote(line + onset, pitch, velocity, duration, self.request)


def deadline_ns(completion: Completion, transport: Transport, lead_ns: int) -> int:
    """When generation must start: half a grid step before the first note's place, earlier when
    the output is sent early or the engine needs longer (`lead_ns`) for its first chord."""
    half_step = round(ns_per_step(transport.tempo_bpm) / 2)
    starts_ns = transport.ns_at(steps_to_beats(completion.start_step))
    return min(starts_ns - half_step, latest_ns(completion, transport, lead_ns))


def latest_ns(completion: Completion, transport: Transport, lead_ns: int) -> int:
    """When generation can start at the latest for the first chord to be in time."""
    starts_ns = transport.ns_at(steps_to_beats(completion.start_step))
    return starts_ns + completion.nudge_ns(completion.start_step) - lead_ns - MARGIN_NS


def launch_step(transport: Transport, quantize: str, now_ns: int, needed_ns: int) -> int:
    """The first place, in steps, where a completion may start that is asked for at `now_ns` and
    needs `needed_ns` before its first note: a bar line, a beat of the bar, or a step."""
    earliest = transport.beat_at(now_ns + needed_ns)
    if quantize == "now":
        return math.floor(earliest * STEPS_PER_BEAT) + 1
    span = transport.bar_at(earliest)
    start = round(span.start_beat * STEPS_PER_BEAT)
    if quantize == "bar":
        return start + span.meter.steps
    beats = math.floor(earliest - span.start_beat) + 1
    return start + min(beats * STEPS_PER_BEAT, span.meter.steps)
