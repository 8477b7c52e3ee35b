"""A completion from its trigger to its last note: where it starts, how it went. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, ns_per_step, steps_to_beats

from .parameters import Generation
from .planner import PlannedNote
from .transport import BarSpan, Transport

_MARGIN_NS = 4 * NS_PER_MS  # the io loop looks every 2 ms


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

    `until_steps`, counted from the line of `first`, is how far the worker may go.
    """

    request: int
    generation: Generation
    seeds: tuple[int, ...]
    start_step: int
    first: BarSpan
    source: Source = field(default_factory=Fresh)
    until_steps: int = 0
    generating: bool = False  # the worker was asked
    generated: bool = False  # the worker has made the last note
    asked_ns: int = 0
    first_onset: int | None = None  # step of the first note that came
    cut_step: int | None = None  # where another takes its place; the worker has left it
    notes: int = 0  # planned, and not dropped since
    late: int = 0
    dropped: int = 0
    worst_ns: int = 0

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

    def begins(self, step: int) -> bool:
        """Whether it begins on this bar line, and nothing has taken its place since."""
        return self.start_step == step and self.first_step == 0 and self.cut_step is None

    def move(self, steps: int, first: BarSpan) -> None:
        """The transport has jumped, and its first bar with it."""
        self.start_step += steps
        self.first = first
        if self.first_onset is not None:
            self.first_onset += steps

    def in_time(self, late_ns: int) -> bool:
        """Whether a note that would go out so late still goes out; it is counted."""
        if late_ns > 0:
            self.late += 1
            self.worst_ns = max(self.worst_ns, late_ns)
        if late_ns > self.generation.late_tolerance_ms * NS_PER_MS:
            self.dropped += 1
            self.notes -= 1
            return False
        return True

    def planned(
        self, transport: Transport, bar: int, note: tuple[int, int, int, int]
    ) -> PlannedNote:
        """A note of its bar `bar`, in the transport's steps."""
        onset, pitch, velocity, duration = note
        line = round(transport.bar(self.first.number + bar).start_beat * STEPS_PER_BEAT)
        return PlannedNote(line + onset, pitch, velocity, duration, self.request)


def deadline_ns(completion: Completion, transport: Transport, lead_ns: int) -> int:
    """When generation must start: half a grid step before the first note's place, earlier when
    the output is sent early or the engine needs longer (`lead_ns`) for its first chord."""
    half_step = ns_per_step(transport.tempo_bpm) / 2
    early = lead_ns + _MARGIN_NS - completion.generation.nudge_ms * NS_PER_MS
    return transport.ns_at(steps_to_beats(completion.start_step)) - round(max(half_step, early))


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
