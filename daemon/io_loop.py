"""The thread that everything comes in by: MIDI, OSC, the worker's notes. It never waits long."""

from __future__ import annotations

import logging
import random
import selectors
from collections.abc import Callable

from rwkv_music.timebase import NS_PER_MS, NS_PER_S

from .aside import Aside
from .clock import Clock, SleepWatch, real_ns
from .conductor import Conductor
from .config import Config
from .control import Control
from .learned_file import LearnedFile
from .learning import Learning
from .link_session import LinkSession, link_absence
from .links import Hub, Link
from .memories import MEMORIES, Memories, shipped_memories
from .messages import Composed, Memory, Message, Ready
from .midi_bytes import SYSTEM, is_message
from .models import MODELS, Models
from .osc.encoding import Value
from .osc.server import OscServer
from .output_thread import Output
from .ports.base import Arrival, InputPort
from .silence import panic_messages
from .transport import Transport, take_midi
from .workers import Workers

_POLL_S = 0.002
# When nothing has come in for a while. Each look costs about 0.1 ms of a processor that had gone to
# sleep; what comes in over OSC wakes us at once, and MIDI brings its time of arrival along.
_REST_POLL_S = 0.04
_REST_NS = 5 * NS_PER_S
_REST_TICK_NS = 100 * NS_PER_MS
_HEARTBEAT_NS = 2 * NS_PER_S
_SLEEP_LOOK_NS = 100 * NS_PER_MS
_REPLIES_PER_STEP = 64

_Came = tuple[list[tuple[selectors.SelectorKey, int]], list[Arrival]]  # to be read; MIDI

log = logging.getLogger(__name__)


class IoLoop:
    """Port, socket and hub in; conductor and output behind. `step` is called for ever."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        midi_input: InputPort,
        output: Output,
        osc: OscServer,
        hub: Hub,
        learned: LearnedFile | None = None,
        load_model: Callable[[str], None] = lambda _: None,
        new_seed: Callable[[], int] = lambda: random.getrandbits(31),
    ) -> None:
        self._clock = clock
        self._input = midi_input
        self._output = output
        self._osc = osc
        self.workers_come = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(osc, selectors.EVENT_READ, self._take_requests)
        self.workers = Workers(hub, self._selector, self._take_answer, self._lose_worker)
        transport = Transport(
            config.transport.tempo_bpm, config.transport.meter, config.transport.source
        )
        self.conductor = Conductor(
            transport, config.generation, output, self.workers.send, osc.publish, new_seed
        )
        learning = Learning(config.midi.triggers, osc.publish, learned)
        data = config.service.data_path
        memories = Memories(data / MEMORIES, shipped_memories())
        models = Models(data / MODELS)
        self.aside = Aside(self.conductor, memories, models, load_model)
        self.control = Control(self.conductor, learning, self.silence, self.aside, link_absence)
        self._session: LinkSession | None = None
        self._joins_when_auto = config.transport.link
        self._keep_session()
        self._started_ns = clock.now_ns()
        self._next_heartbeat_ns = self._started_ns
        self._sleep_watch = SleepWatch()
        self._next_look_ns = 0
        self._last_input_ns = self._started_ns
        self._resting = False
        self._next_tick_ns = 0

    def watch(self, link: Link, take: Callable[[], None]) -> None:
        """Call `take` whenever something can be read from this link."""
        self._selector.register(link, selectors.EVENT_READ, take)

    def step(self) -> None:
        """Wait a moment for something to come in, and do what is due."""
        readable, arrivals = self._rest() if self._resting else self._wait()
        self._hear_session()
        for key, _ in readable:
            key.data()
        self.workers.look()
        if self.workers.one_is_ready:
            self._change_worker()
        self._take_midi(arrivals)
        now_ns = self._clock.now_ns()
        self._resting = self._may_rest(now_ns)
        self._next_tick_ns = now_ns + _REST_TICK_NS
        self._look_for_sleep(now_ns)
        self.conductor.tick(now_ns)
        self.control.tick(now_ns)
        self._send_replies()
        if now_ns >= self._next_heartbeat_ns:
            self._next_heartbeat_ns = now_ns + _HEARTBEAT_NS
            self._osc.publish("/rwkv/heartbeat", (now_ns - self._started_ns) // NS_PER_S)

    def _wait(self) -> _Came:
        readable = self._selector.select(_POLL_S)
        return readable, self._input.poll()

    def _rest(self) -> _Came:
        """Until something comes in or a tick is due. This is most of what an idle service does: it
        should be little."""
        select, poll, now_ns = self._selector.select, self._input.poll, self._clock.now_ns
        ends_ns = self._next_tick_ns
        while True:
            readable, arrivals = select(_REST_POLL_S), poll()
            if readable or arrivals or now_ns() >= ends_ns:
                return readable, arrivals

    def _may_rest(self, now_ns: int) -> bool:
        """Whether nothing is going on, nor has been for a while."""
        return (
            now_ns - self._last_input_ns > _REST_NS
            and not self.conductor.transport.playing
            and not self.control.replies
        )

    def publish(self, address: str, *args: Value) -> None:
        """Send an event to the subscribers."""
        self._osc.publish(address, *args)

    def silence(self) -> None:
        """Everything ends now, on all channels."""
        self._output.stop()
        for message in panic_messages():
            self._output.send_now(message)

    def close(self) -> None:
        """Silence, and let go of the sockets. The ports are the caller's."""
        self.conductor.stop(self._clock.now_ns())
        self.silence()
        self._send_replies()
        self._selector.close()
        self.workers.close()
        self._osc.close()
        if self._session is not None:
            self._session.close()

    # --- MIDI ----------------------------------------------------------------------------------

    def _take_midi(self, arrivals: list[Arrival]) -> None:
        for t_ns, message in arrivals:
            self._last_input_ns = t_ns
            if not is_message(message):
                self.conductor.listener.ignore("malformed")
            elif message[0] >= SYSTEM:
                take_midi(self.conductor.transport, t_ns, message)
                self.conductor.follow_transport(t_ns)
            else:
                self.control.midi(t_ns, message)

    def _look_for_sleep(self, now_ns: int) -> None:
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + _SLEEP_LOOK_NS
        slept_ns = self._sleep_watch.look(now_ns, real_ns(), _SLEEP_LOOK_NS)
        if slept_ns:
            log.warning("the machine slept for %.1f s: what was playing is over", slept_ns / 1e9)
            self.conductor.silence(now_ns)
            self.silence()

    # --- Ableton Link --------------------------------------------------------------------------

    def _keep_session(self) -> None:
        """Be in a Link session where one was chosen, and while `auto` may find one. Raises
        ConfigError when the library is not there."""
        selected = self.conductor.transport.selected
        wanted = selected == "link" or (selected == "auto" and self._joins_when_auto)
        if wanted and self._session is None:
            self._session = LinkSession(self._clock, self.conductor.transport.tempo_bpm)
        elif not wanted and self._session is not None:
            self._session.close()
            self._session = None

    def _hear_session(self) -> None:
        """Ask the session what we want of it, and take in how it stands."""
        self._keep_session()
        if self._session is None:
            return
        transport = self.conductor.transport
        for wish in transport.take_link_wishes():
            self._session.ask(wish)
        state = self._session.state(transport.link_quantum)
        transport.link(state, state.t_ns)
        self.conductor.follow_transport(state.t_ns)

    # --- OSC -----------------------------------------------------------------------------------

    def _take_requests(self) -> None:
        for request, sender in self._osc.receive():
            self._hear_session()  # what is asked may begin in it
            now_ns = self._last_input_ns = self._clock.now_ns()
            self.control.carry_out(request, sender, now_ns)
            if request.name == "subscribe":
                self.control.welcome((sender[0], request.args[0]))

    def _send_replies(self) -> None:
        replies = self.control.replies
        for _ in range(min(len(replies), _REPLIES_PER_STEP)):
            receiver, address, args = replies.popleft()
            if address == "/rwkv/error":
                self._osc.reply_error(receiver, *args)  # type: ignore[arg-type]  # code, text, address
            else:
                self._osc.reply(receiver, address, *args)

    # --- the worker ----------------------------------------------------------------------------

    def _take_answer(self, message: Message) -> None:
        if isinstance(message, Ready):
            self.conductor.worker_up(message.model, message.lead_ns)
            self.workers_come += 1
        elif isinstance(message, Composed):
            self.aside.composed(message)
        elif isinstance(message, Memory):
            self.aside.remembered(message, self._clock.now_ns())
        else:
            self.conductor.worker(message, self._clock.now_ns())

    def _lose_worker(self) -> None:
        self.conductor.worker_down(self._clock.now_ns())
        self.aside.worker_lost()

    def _change_worker(self) -> None:
        """A worker with another model takes the place of ours when nothing is made by it. What
        rings does without a worker, and what is armed can be asked of either."""
        if not self.conductor.performer.needs_worker and not self.aside.busy:
            self.workers.change()
