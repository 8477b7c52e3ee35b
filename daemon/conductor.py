"""The musical side of the daemon, as a whole: obeys requests, hears the player, plays. Pure.

It is told everything with its time and never asks a clock: MIDI messages, requests, the worker's
answers, and `tick` every few milliseconds. One thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from rwkv_music.timebase import NS_PER_MS

from .answers import Answers
from .arming import Arming
from .asking import Asking
from .assembler import Assembler
from .completion import Completion
from .following import Following
from .lead import Lead
from .listener import Listener
from .messages import Failed, Forget, Generated, InKey, Memory, Message, Proposed
from .metronome import Metronome
from .osc.arguments import OscError
from .parameters import Generation, Value
from .performer import Performer
from .revising import Revising
from .shown_state import ShownState
from .telling import Telling
from .transport import Transport
from .voices import Sounds, Voices
from .wishes import Wishes

_LEAD_NS = 20 * NS_PER_MS  # from a trigger to the downbeat when the transport stood still

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
        lead = Lead(lambda: sounds.latency_ns)
        asking = Asking(transport, self.assembler, to_worker, lead)
        self.performer = Performer(transport, self.assembler, self.voices, asking, publish)
        self._shown = ShownState(transport, self.performer, publish)
        self.arming = Arming(self.performer, self._shown, new_seed)
        self.listener = Listener(
            transport, self.assembler, self.performer, self.voices, sounds, publish
        )
        self.answers = Answers(
            transport, self.wishes, self.arming, self.performer, self.listener, publish
        )
        self._revising = Revising(transport, self.performer, self.voices, asking)
        self._metronome = Metronome(transport, sounds)
        self._telling = Telling(self.assembler, to_worker)
        self.following = Following(
            transport,
            self.assembler,
            self.performer,
            self.listener,
            self.answers,
            self._telling,
            self._metronome,
            self._shown,
            publish,
        )
        self.model = ""  # empty: there is none
        self.memory: Memory | None = None  # to be loaded by a worker that comes
        self._resets = 0
        self.to_worker = to_worker
        self._publish = publish

    # --- what is asked -------------------------------------------------------------------------

    @property
    def generation(self) -> Generation:
        """The parameters as they last."""
        return self.wishes.lasting

    @property
    def state(self) -> str:
        """idle, listening, armed or playing."""
        return self._shown.now

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
            self._launch(now_ns, generation.takes, generation.count_in)
            step = 0
        else:
            step = self.performer.place(generation, now_ns)
        return _accepted(self.arming.fresh(generation, step, now_ns))

    def select(self, now_ns: int, take: int | None) -> tuple[int, int]:
        """Arm a take of the last request, or the one after the last chosen; it takes the place of
        what plays. Raises OscError 406 when there is none to choose, 422 for one there is not."""
        step = self._place_again(now_ns, take)
        return _accepted(self.arming.select(take, step, now_ns))

    def regenerate(self, now_ns: int) -> tuple[int, int]:
        """Arm new takes from the state before the last request. Raises OscError 406."""
        step = self._place_again(now_ns)
        return _accepted(self.arming.regenerate(step, now_ns))

    def _place_again(self, now_ns: int, take: int | None = None) -> int:
        """The step at which what was offered can start; a transport that stands still is started.
        Raises OscError."""
        self.need_model()
        self.tick(now_ns)
        offered = self.arming.offer(take)
        self.answers.withdraw()
        if self.transport.playing:
            return self.performer.place_again(offered, now_ns)
        self._launch(now_ns, len(offered.seeds), self.generation.count_in)
        return offered.first_step

    def _launch(self, now_ns: int, takes: int, count_in: int) -> None:
        """Start the transport for a request, as soon as the worker can have its first chords."""
        self.following.launch(now_ns + max(_LEAD_NS, self.performer.lead.ns(takes)), count_in)

    def need_model(self) -> None:
        """Raises OscError 503 when there is no worker."""
        if not self.model:
            raise OscError(503, "no model: wait for /rwkv/worker up")

    def set_mode(self, name: str, listen_bars: int, play_bars: int) -> None:
        """manual, trade or auto. In trade the first turn begins with the next bar, or with the
        first one when the transport stands still."""
        self.answers.set_mode(name, listen_bars, play_bars, self.following.next_bar)

    def stop(self, now_ns: int) -> None:
        """End what is armed or plays, now."""
        self.answers.disarm()
        self.performer.end(self.transport.beat_at(now_ns))
        self._shown.tell()

    def silence(self, now_ns: int) -> None:
        """Stop, and let every key go, for nobody knows any more which are down."""
        self.stop(now_ns)
        self.listener.lift(now_ns)

    def reset(self, now_ns: int) -> None:
        """Stop, and forget everything heard."""
        self.stop(now_ns)
        self._resets += 1
        self._forget(None)
        self.to_worker(Forget())

    def ask_memory(self, memory: Memory) -> None:
        """Have the worker save or load it."""
        self.to_worker(replace(memory, resets=self._resets, bar=self.assembler.last_heard))

    def saved(self, memory: Memory) -> None:
        """A memory has been saved. If it is the one that is loaded, a worker that comes finds the
        bars up to now in it."""
        if self.memory is not None and self.memory.path == memory.path:
            self.memory = replace(self.memory, bar=memory.bar)

    def begin_in(self, memory: Memory, now_ns: int) -> None:
        """The worker stands where a memory was saved: end what plays, and forget everything heard.
        What is armed stays armed and is made from there, but for a take of what was before. But
        after a reset that came later the worker stands at its start again."""
        if memory.resets < self._resets:
            return
        armed = self.performer.armed
        if armed is not None and armed.cuts:
            self.answers.disarm()
        self.performer.end_early(now_ns)
        self._forget(memory)
        self._shown.tell()

    def _forget(self, memory: Memory | None) -> None:
        self.memory = memory
        self.to_worker(self.assembler.forget())
        self.listener.forget()
        self.performer.offered = None

    def undo(self, now_ns: int) -> None:
        """Make the state as if the last completion had not been; what is armed is made from that
        state. Raises OscError 406 when there is none, or when it began too far back."""
        self.voices.follow_output()
        request = self.assembler.to_undo()
        if self.performer.is_armed(request):  # its first notes were sent early
            self.answers.disarm()
        self.performer.end_early(now_ns)
        self.to_worker(self.assembler.undo(request))
        self._telling.changes()
        self._shown.tell()

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
            self.following.launch(t_ns)  # what is played cannot be counted in any more
        self.following.close_bars(t_ns)
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
        self._shown.tell()

    def worker(self, message: Message, now_ns: int) -> None:
        """An answer of the model's process."""
        match message:
            case Proposed():
                self.performer.take_note(message, now_ns)
            case Generated():
                self.performer.take_end(message)
            case InKey(request, key, scale):
                self._publish("/rwkv/key", request, key, scale)
            case Failed(code, text, request):
                self.report(code, text, "")
                if self.performer.is_armed(request):
                    self.answers.disarm()  # what plays goes on
                elif self.performer.of_request(request) is not None:
                    self.stop(now_ns)

    def report(self, code: int, message: str, address: str) -> None:
        """Tell of an error that nobody is waiting for."""
        log.error("%d: %s %s", code, message, address)
        self._publish("/rwkv/error", code, message, address)

    def worker_up(self, model: str, lead_ns: int = 0) -> None:
        """A worker has come, which needs `lead_ns` for a first chord: let it stand where the last
        one began, and hear the last bars. What that one offered is gone."""
        self.model, self.answers.can_play = model, True
        self.performer.lead.restart(lead_ns)
        self.performer.offered = None
        if self.memory is not None:
            self.to_worker(self.memory)
        self._tell_recent()
        self._publish("/rwkv/worker", "up")

    def _tell_recent(self) -> None:
        in_memory = -1 if self.memory is None else self.memory.bar
        for message in self.assembler.recent(in_memory):
            self.to_worker(message)

    def lose_memory(self) -> None:
        """A worker that has come cannot stand in the memory: let it hear what that held of the last
        bars as well."""
        self.memory = None
        self._tell_recent()

    def worker_down(self, now_ns: int) -> None:
        """The worker is gone: silence, until there is another."""
        self.model, self.answers.can_play = "", False
        self.stop(now_ns)
        self._publish("/rwkv/worker", "down")

    # --- time ----------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        self.voices.follow_output()
        self.transport.tick(now_ns)
        self.follow_transport(now_ns)
        if self.transport.playing:
            self.following.tick(now_ns)
        if self.transport.playing:  # still
            beat = self.following.beat
            if self.state == "listening":
                self.answers.to_silence(beat, now_ns)
            self._revising.follow_meters(now_ns)
            self.performer.tick(now_ns)
            self._telling.settled(beat)
            self._metronome.tick(now_ns, self.generation)
        self._shown.tell()

    def follow_transport(self, now_ns: int) -> None:
        """Take in what has happened to the transport. To be called after telling it anything."""
        self.following.take_changes(now_ns)


def _accepted(completion: Completion) -> tuple[int, int]:
    """Its request number, and the bar that it starts in."""
    return completion.request, completion.first.number
