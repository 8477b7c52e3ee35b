"""Parameters that change while a completion plays: they act within a beat, whatever has been made
ahead. Pure."""

from __future__ import annotations

import math

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import NS_PER_MS, beats_to_steps

from .asking import Asking
from .completion import Completion
from .parameters import MADE_BY, OF_THE_REQUEST, Value
from .performer import Performer
from .transport import Transport
from .voices import RELEASE_NS, Voices


class Revising:
    """Has what is beyond a beat from now made again by the parameters that hold now."""

    def __init__(
        self,
        transport: Transport,
        performer: Performer,
        voices: Voices,
        asking: Asking,
    ) -> None:
        self._transport = transport
        self._performer = performer
        self._voices = voices
        self._asking = asking

    def change(self, name: str, value: Value, now_ns: int) -> None:
        """A parameter has changed for good: for what plays, what is armed and what is offered too,
        unless it is one that says what a request is."""
        if name in OF_THE_REQUEST:
            return
        performer = self._performer
        making = self._in_the_making()
        is_new = making is not None and making.generation.value(name) != value
        for completion in (performer.playing, performer.armed):
            if completion is not None and name == "nudge_ms":
                self._nudge(completion, float(value), now_ns)
        for completion in (performer.playing, performer.armed, performer.offered):
            if completion is not None:
                completion.generation = completion.generation.with_value(name, value)
        if making is not None and is_new and name in MADE_BY:
            self._revise(making, now_ns)

    def follow_meters(self, now_ns: int) -> None:
        """The bars that have another meter since the worker heard of them are made anew; and so is
        what has been asked for a line that has moved with them."""
        performer = self._performer
        armed = performer.armed
        if armed is not None and armed.generating:
            line = self._transport.bar(armed.first.number).start_beat
            if line != armed.first.start_beat:
                performer.ask_again()
        for completion in (performer.playing, performer.armed):
            if completion is None or not completion.generating or completion.cut_step is not None:
                continue
            bar = completion.changed_bar(self._transport)
            if bar is not None:
                self._asking.tell_header(completion, bar)
                line = self._transport.bar(completion.first.number + bar).start_beat
                self._revise(completion, now_ns, beats_to_steps(line))
                completion.until_step = completion.start_step  # which is said in bars

    def _in_the_making(self) -> Completion | None:
        """The completion that the worker was asked for last, if it plays or will."""
        playing, armed = self._performer.playing, self._performer.armed
        if armed is not None and armed.generating:
            return armed
        return playing if playing is not None and playing.cut_step is None else None

    def _revise(self, completion: Completion, now_ns: int, from_step: int = 0) -> None:
        """Have it made anew from a beat from now on, or from a later step."""
        free_step = self._free_step(completion, completion.least_nudge_ns, now_ns)
        step = max(free_step, completion.start_step, from_step)
        end = beats_to_steps(completion.end_beat(self._transport))
        self._voices.drop(completion.request, min(step, end))  # a new meter may have moved the end
        if step >= end:
            return
        self._asking.revise(completion, completion.revise(step, self._transport))

    def _nudge(self, completion: Completion, nudge_ms: float, now_ns: int) -> None:
        least_ns = min(completion.least_nudge_ns, round(nudge_ms * NS_PER_MS))
        completion.nudge_from(self._free_step(completion, least_ns, now_ns), nudge_ms)

    def _free_step(self, completion: Completion, nudge_ns: int, now_ns: int) -> int:
        """A beat from now; later where the worker needs longer, or notes are sent early."""
        lead_ns = self._performer.lead.ns(len(completion.seeds))
        needed_ns = RELEASE_NS + lead_ns - min(nudge_ns, 0)
        soonest = math.ceil(self._transport.beat_at(now_ns + needed_ns) * STEPS_PER_BEAT)
        return max(math.floor((self._transport.beat_at(now_ns) + 1) * STEPS_PER_BEAT), soonest)
