"""The musical side of the daemon: follows the transport, keeps the bars, obeys requests. Pure.

It is told everything with its time and never asks a clock: MIDI messages, requests, the worker's
answers, and `tick` every few milliseconds. One thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from rwkv_music.timebase import NS_PER_MS

from .answers import Answers
from .arming import Arming
from .asking import Asking
from .assembler import AssembledBar, Assembler, Voice
from .completion import Completion
from .jumps import line_jump
from .listener import Listener
from .messages import Failed, Generated, Memory, Message, Proposed
from .metronome import Metronome
from .osc.arguments import OscError
from .own_clock import OwnClock
from .parameters import Generation, Value
from .performer import Performer
from .revising import Revising
from .telling import Telling
from .transport import BarSpan, Located, Started, Stopped, Transport
from .voices import Sounds, Voices
from .wishes import Wishes

_LEAD_NS = 20 * NS_PER_MS  # from a trigger to the downbeat when the transport stood still
_COUNTED_BEATS = 0.25  # what comes so long before beat 0 is counted in

log = logging.getLogger(__name__)


class Conductor:
    """Owns the performance: what is heard, what is armed, what plays.

    to_worker and publish take messages for the model's process and events for OSC subscribers.
    """

    def __init__(
        self,
        transport: Transport,
        generation: Generation,
        sounds: Sounds,
        to_worker: Callable[[Message], None],
        publish: Callable[..., None],
        new_seed: Callable[[], int],
    ) -> None:
        self.transport = transport
        self.wishes = Wishes(generation)
        self.assembler = Assembler(generation.grid)
        self.voices = Voices(transport, self.assembler, sounds, publish)
        asking = Asking(transport, self.assembler, to_worker)
        self.performer = Performer(transport, self.assembler, self.voices, asking, publish)
        self.arming = Arming(self.performer, new_seed)
        self.listener = Listener(
            transport, self.assembler, self.performer, self.voices, sounds, publish
        )
        self.answers = Answers(
            transport, self.wishes, self.arming, self.performer, self.listener, publish
        )
        self._revising = Revising(transport, self.performer, self.voices, asking)
        self._metronome = Metronome(transport, sounds)
        self.model = ""  # empty: there is none
        self.memory: Memory | None = None  # to be loaded by a worker that comes
        self.to_worker = to_worker
        self._publish = publish
        self._span: BarSpan | None = None  # the bar that is open
        self._beat = 0.0  # where the music was at the last tick
        self._telling = Telling(self.assembler, to_worker)
        self.own_clock = OwnClock()
        self._told_state = ""

    # --- what is asked -------------------------------------------------------------------------

    @property
    def generation(self) -> Generation:
        """The parameters as they last."""
        return self.wishes.lasting

    @property
    def state(self) -> str:
        """idle, listening, armed or playing."""
        if self.performer.playing is not None:
            return "playing"
        if self.performer.armed is not None:
            return "armed"
        return "listening" if self.transport.playing else "idle"

    # --- requests ------------------------------------------------------------------------------

    def trigger(
        self, now_ns: int, bars: int | None = None, takes: int | None = None
    ) -> tuple[int, int]:
        """Arm a completion; its request number and the bar that it starts in.

        While one plays, the next is queued, one deep; what was armed before is replaced. A
        transport that stands still starts. Raises OscError 503 when there is no model.
        """
        self.need_model()
        self.tick(now_ns)
        self.answers.withdraw()
        generation = self.wishes.take(bars=bars, takes=takes)
        if self.performer.playing is None and not self.transport.playing:
            lead_ns = self.performer.lead.ns(generation.takes)
            self._start(now_ns + max(_LEAD_NS, lead_ns), generation.count_in)
            return self._armed(self.arming.fresh(generation, 0), now_ns)
        step = self.performer.place(generation, now_ns)
        return self._armed(self.arming.fresh(generation, step), now_ns)

    def select(self, now_ns: int, take: int | None) -> tuple[int, int]:
        """Arm a take of the last request, or the one after the last chosen; it takes the place of
        what plays. Raises OscError 406 when there is none to choose, 422 for one there is not."""
        return self._armed(self.arming.select(take, self._place_again(now_ns, take)), now_ns)

    def regenerate(self, now_ns: int) -> tuple[int, int]:
        """Arm new takes from the state before the last request. Raises OscError 406."""
        return self._armed(self.arming.regenerate(self._place_again(now_ns)), now_ns)

    def _place_again(self, now_ns: int, take: int | None = None) -> int:
        self.need_model()
        self.tick(now_ns)
        offered = self.arming.offer(take)
        self.answers.withdraw()
        if self.transport.playing:
            return self.performer.place_again(offered, now_ns)
        lead_ns = self.performer.lead.ns(len(offered.seeds))
        self._start(now_ns + max(_LEAD_NS, lead_ns), self.generation.count_in)
        return offered.first_step

    def need_model(self) -> None:
        """Raises OscError 503 when there is no worker."""
        if not self.model:
            raise OscError(503, "no model: wait for /rwkv/worker up")

    def _armed(self, completion: Completion, now_ns: int) -> tuple[int, int]:
        start_bar = completion.first.number
        self._tell_state()
        self.performer.tick(now_ns)
        self._tell_state()
        return completion.request, start_bar

    def set_mode(self, name: str, listen_bars: int, play_bars: int) -> None:
        """manual, trade or auto. In trade the first turn begins with the next bar, or with the
        first one when the transport stands still."""
        next_bar = 0 if self._span is None else max(self._span.number + 1, 0)
        self.answers.set_mode(name, listen_bars, play_bars, next_bar)

    def stop(self, now_ns: int) -> None:
        """End what is armed or plays, now."""
        self._disarm()
        self.performer.end(self.transport.beat_at(now_ns))
        self._tell_state()

    def _disarm(self) -> None:
        self.answers.withdraw()
        self.performer.disarm()

    def silence(self, now_ns: int) -> None:
        """Stop, and let every key go, for nobody knows any more which are down."""
        self.stop(now_ns)
        self.listener.lift(now_ns)

    def forget(self, now_ns: int) -> None:
        """Stop, and forget everything heard; the worker goes back to its start by other ways."""
        self.stop(now_ns)
        self.memory = None
        self.to_worker(self.assembler.forget())
        self.listener.forget()
        self.performer.offered = None

    def undo(self, now_ns: int) -> None:
        """Make the state as if the last completion had not been; what is armed is made from that
        state. Raises OscError 406 when there is none, or when it began too far back."""
        self.voices.follow_output()
        request = self.assembler.to_undo()
        if self.performer.is_armed(request):  # its first notes were sent early
            self._disarm()
        self.performer.end_early(now_ns)
        self.to_worker(self.assembler.undo(request))
        self._telling.changes()
        self._tell_state()

    def set_parameter(self, name: str, value: object, now_ns: int) -> Value:
        """Change a parameter for good; its value as it is now. Raises ParameterError."""
        changed = self.wishes.set(name, value)
        self.assembler.grid = self.generation.grid
        self._revising.change(name, changed, now_ns)
        self._publish(f"/rwkv/param/{name}", changed)
        return changed

    # --- what comes in -------------------------------------------------------------------------

    def midi(self, t_ns: int, message: bytes) -> None:
        """A channel message of the player's that is no trigger."""
        if not self.listener.take(t_ns, message, self.generation):
            return
        if not self.transport.playing:
            self._start(t_ns)  # what is played cannot be counted in any more
        self._close_bars(t_ns)
        self.listener.note_on(t_ns, message[0] & 0x0F, message[1], message[2])
        self._yield(t_ns)

    def _yield(self, t_ns: int) -> None:
        """The player goes on: what plays is over, if it does not play along; in auto the answer
        that waits is withdrawn. What was asked for is not: that is what `stop` is for."""
        playing, yields = self.performer.playing, self.answers.yields
        if yields:
            self.answers.withdraw()
        if playing is not None and (yields or playing.generation.overlap == "interrupt"):
            self.performer.end_early(t_ns, self.listener.held_pitches)
        self._tell_state()

    def worker(self, message: Message, now_ns: int) -> None:
        """An answer of the model's process."""
        match message:
            case Proposed():
                self.performer.take_note(message, now_ns)
            case Generated():
                self.performer.take_end(message)
            case Failed(code, text, request):
                self.report(code, text, "")
                if self.performer.is_armed(request):
                    self._disarm()  # what plays goes on
                elif self.performer.of_request(request) is not None:
                    self.stop(now_ns)

    def report(self, code: int, message: str, address: str) -> None:
        """Tell of an error that nobody is waiting for."""
        log.error("%d: %s %s", code, message, address)
        self._publish("/rwkv/error", code, message, address)

    def worker_up(self, model: str, lead_ns: int = 0) -> None:
        """A worker has come, which needs `lead_ns` for a first chord: let it stand where the last
        one began, and hear the last bars. What that one offered is gone."""
        self.model = model
        self.performer.lead.restart(lead_ns)
        self.performer.offered = None
        if self.memory is not None:
            self.to_worker(self.memory)
        for message in self.assembler.recent():
            self.to_worker(message)
        self._publish("/rwkv/worker", "up")

    def worker_down(self, now_ns: int) -> None:
        """The worker is gone: silence, until there is another."""
        self.model = ""
        self.stop(now_ns)
        self._publish("/rwkv/worker", "down")

    # --- time ----------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        self.voices.follow_output()
        self.transport.tick(now_ns)
        self.follow_transport(now_ns)
        if self.transport.playing:
            self._beat = self.transport.beat_at(now_ns)
            self._close_bars(now_ns)
        if self.transport.playing:
            self._answer_silence(now_ns)
            self._revising.follow_meters(now_ns)
            self.performer.tick(now_ns)
            self._telling.settled(self._beat)
            self._metronome.tick(now_ns, self.generation)
        self._tell_state()

    def follow_transport(self, now_ns: int) -> None:
        """Take in what has happened to the transport. To be called after telling it anything."""
        for change in self.transport.take_changes():
            self.own_clock.led()  # a change of ours says otherwise when it has been taken in
            match change:
                case Started(beat) | Located(beat):
                    self._renumber(beat, now_ns)
                case Stopped(beat):
                    self._disarm()
                    self._renumber(beat, now_ns)
                    self._span = None
        self._tell_state()

    def _renumber(self, beat: float, now_ns: int) -> None:
        """The numbers of bars begin anew at `beat`: what was heard stays, what plays ends."""
        jump = line_jump(self._span, self._beat, beat, self.transport)
        moved = self.performer.leave(self._beat, jump)
        self.assembler.renumber(self._beat, jump.moved if jump else None)
        self._telling.changes()
        # What is a little before beat 0 is a clock's jitter, or a start that is still to come.
        self._beat = beat if beat <= -_COUNTED_BEATS else max(beat, 0.0)
        self._span = jump.span if jump is not None else self.transport.bar_at(self._beat)
        self._telling.begin(self._beat)
        self._metronome.restart()
        self.listener.renumber(self._beat)
        self.answers.jumped(jump, moved, max(self._span.number, 0))
        self.performer.aim_again(now_ns, moved)
        if self.transport.playing:
            self._open_bar(self._span, now_ns)

    def _start(self, t_ns: int, count_in: int = 0) -> None:
        self.transport.launch(t_ns, count_in)
        self.follow_transport(t_ns)
        self.own_clock.started()

    def _close_bars(self, now_ns: int) -> None:
        """A bar closes half a grid step before its line: what comes later is on the line."""
        while self._span is not None:
            self._span = self.transport.bar(self._span.number)  # its meter may be new
            beat = self.transport.beat_at(now_ns)
            if beat < self._span.end_beat - self.assembler.half_grid_beats:
                return
            span, self._span = self._span, self.transport.bar(self._span.number + 1)
            bar = self._close(span, beat)
            self._open_bar(self._span, now_ns)
            if bar is not None:
                self._rest(bar, now_ns)

    def _close(self, span: BarSpan, beat: float) -> AssembledBar | None:
        """Tell of a bar; None for one that was only counted: nobody has played yet, and that is no
        silence to be heard."""
        if span.number < 0 and not self.assembler.has_begun(span):
            return None
        self.assembler.refresh(beat)
        bar = self.assembler.close(span, self.transport.tempo_bpm)
        self._telling.changes()
        played = bar.count(Voice.PLAYER)
        self._publish("/rwkv/bar", bar.number, played)
        if played and self.state == "listening":
            self.performer.offered = None  # the player has gone on from what was chosen
        return bar

    def _open_bar(self, span: BarSpan, now_ns: int) -> None:
        turn = self.answers.at_line(span, can_play=bool(self.model))
        if turn is not None:
            self._armed(turn, now_ns)

    def _answer_silence(self, now_ns: int) -> None:
        if self.state == "listening" and self.model:
            answer = self.answers.to_silence(self._beat, now_ns)
            if answer is not None:
                self._armed(answer, now_ns)

    def _rest(self, bar: AssembledBar, now_ns: int) -> None:
        """Stop the clock that we started ourselves when nobody has played for a while."""
        sounds = bool(bar.notes) or bool(self.listener.held_pitches)
        busy = sounds or self.state in ("armed", "playing")
        if self.own_clock.rests(busy=busy) and self.transport.source in ("internal", "link"):
            self.transport.stop(now_ns)
            self.follow_transport(now_ns)

    def _tell_state(self) -> None:
        if self.state != self._told_state:
            self._told_state = self.state
            self._publish("/rwkv/state", self.state)
