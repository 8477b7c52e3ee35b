"""What the worker is asked for, what it is told of the bars to come, how far it may go. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

from rwkv_music.music import STEPS_PER_BEAT, Meter

from .assembled_bar import AssembledBar
from .assembler import Assembler
from .completion import Again, Completion, Fresh
from .lead import Lead
from .messages import (
    Allow,
    Cancel,
    Generate,
    Header,
    Message,
    Place,
    Regenerate,
    Replay,
    Revise,
)
from .transport import Transport
from .voices import RELEASE_NS

_ALLOW_STEPS = 3  # the worker is told of the playhead this often


class Asking:
    """The worker makes nothing that it was not allowed, and of a bar nothing before it knows meter
    and tempo of that."""

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        to_worker: Callable[[Message], None],
        lead: Lead,
    ) -> None:
        self.lead = lead
        self._transport = transport
        self._assembler = assembler
        self._to_worker = to_worker

    def ask(
        self, completion: Completion, bar: AssembledBar, offered: Completion | None, now_ns: int
    ) -> None:
        """For something new, which follows what has been heard before `bar`; or for what has been
        `offered`."""
        for message in self._assembler.updates():
            self._to_worker(message)
        completion.headers = _known_headers(completion, bar, offered)
        self._to_worker(_question(completion, bar))
        horizon = round(completion.generation.horizon_beats * STEPS_PER_BEAT)
        ahead = self._horizon_step(completion, now_ns)
        self.allow_until(completion, max(completion.start_step + horizon, ahead))

    def revise(self, completion: Completion, place: Place) -> None:
        """For the rest of it from there on once more, by the parameters that it has now."""
        let_ring, wishes = bool(completion.generation.let_ring), asdict(completion.generation)
        self._to_worker(Revise(completion.request, completion.edition, *place, let_ring, wishes))

    def cancel(self, completion: Completion) -> None:
        """For nothing more."""
        self._to_worker(Cancel(completion.request))

    def allow(self, completion: Completion, now_ns: int) -> None:
        """Let the worker go on to the horizon."""
        step = self._horizon_step(completion, now_ns)
        if step >= completion.until_step + _pace(completion):
            self.allow_until(completion, step)

    def allow_until(self, completion: Completion, step: int) -> None:
        """Let it go on to there."""
        completion.until_step = step
        until = completion.place(step, self._transport)
        for bar in range(len(completion.headers), min(until[0] + 1, completion.bars)):
            self.tell_header(completion, bar)
        self._to_worker(Allow(completion.request, until))

    def tell_header(self, completion: Completion, bar: int) -> None:
        """Say meter and tempo of a bar and, until something else is said, of those after it."""
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
        needed_ns = (
            RELEASE_NS + self.lead.ns(len(completion.seeds)) - min(completion.least_nudge_ns, 0)
        )
        needed = self._transport.beat_at(now_ns + needed_ns) * STEPS_PER_BEAT + _pace(completion)
        return max(int(horizon * STEPS_PER_BEAT), math.ceil(needed))


def _known_headers(
    completion: Completion, bar: AssembledBar, offered: Completion | None
) -> list[tuple[Meter, float]]:
    """Those that the worker knows as soon as it has been asked; takes that there are have theirs,
    whoever plays them."""
    match completion.source:
        case Fresh():
            return [(completion.first.meter, bar.tempo_bpm)]
        case Again(take) if take is not None and offered is not None:
            return offered.headers
    return []


def _question(completion: Completion, bar: AssembledBar) -> Message:
    wishes, nothing_yet = asdict(completion.generation), (0, 0)
    let_ring = bool(completion.generation.let_ring)
    match completion.source:
        case Again(None):
            return Regenerate(
                completion.request,
                completion.seeds,
                nothing_yet,
                let_ring,
                wishes,
                completion.edition,
            )
        case Again(take) if take is not None:
            return Replay(completion.request, take, nothing_yet, completion.edition)
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
        edition=completion.edition,
    )


def _pace(completion: Completion) -> int:
    """How many steps lie between two looks at the playhead: few where the horizon is near."""
    horizon = completion.generation.horizon_beats * STEPS_PER_BEAT
    return min(_ALLOW_STEPS, math.ceil(horizon / 4))
