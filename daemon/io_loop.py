"""The thread that everything comes in by: MIDI, OSC, the worker's notes. It never waits long."""

from __future__ import annotations

import logging
import random
import selectors
from collections.abc import Callable

from rwkv_music.errors import WorkerError
from rwkv_music.timebase import NS_PER_MS, NS_PER_S

from .aside import Aside
from .clock import Clock, SleepWatch, real_ns
from .conductor import Conductor
from .config import Config
from .control import Control
from .link_session import LinkSession, link_absence
from .links import Hub, Link
from .memories import MEMORIES, Memories
from .messages import Composed, Memory, Message, Ready
from .midi_bytes import SYSTEM, is_message
from .midi_map import MidiMap
from .models import Models
from .osc.encoding import Value
from .osc.server import OscServer
from .output_thread import Output
from .ports.base import Arrival, InputPort
from .silence import panic_messages
from .transport import Transport, take_midi

_POLL_S = 0.002
_REST_POLL_S = 0.02  # when nothing has come in for a while
_REST_NS = 5 * NS_PER_S
_REST_TICK_NS = 50 * NS_PER_MS
_HEARTBEAT_NS = 2 * NS_PER_S
_SLEEP_LOOK_NS = 100 * NS_PER_MS
_REPLIES_PER_STEP = 64
_PLAYING = ("armed", "playing")
_MODELS = "models"  # the folder of checkpoints, in the service's own

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
        keep_triggers: Callable[[MidiMap], None] = lambda _: None,
        load_model: Callable[[str], None] = lambda _: None,
        new_seed: Callable[[], int] = lambda: random.getrandbits(31),
    ) -> None:
        self._clock = clock
        self._input = midi_input
        self._output = output
        self._osc = osc
        self._hub = hub
        self._worker: Link | None = None
        self._next: tuple[str, Link] | None = None  # the worker that waits, and its name
        self._next_is_ready = False
        self.workers = 0  # how many have come
        self.worker_name = ""  # of the last
        self._selector = selectors.DefaultSelector()
        self._selector.register(osc, selectors.EVENT_READ, self._take_requests)
        self._selector.register(hub, selectors.EVENT_READ, self._take_callers)
        transport = Transport(
            config.transport.tempo_bpm, config.transport.meter, config.transport.source
        )
        self.conductor = Conductor(
            transport, config.generation, output, self._to_worker, osc.publish, new_seed
        )
        midi_map = MidiMap(config.midi.triggers)
        data = config.service.data_path
        memories, models = Memories(data / MEMORIES), Models(data / _MODELS)
        self.aside = Aside(self.conductor, memories, models, load_model)
        self.control = Control(
            self.conductor, midi_map, self.silence, keep_triggers, self.aside, link_absence
        )
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
        if self._hub.has_strangers:
            self._take_callers()
        if self._worker is not None and self._worker.is_behind:
            self._to_worker()
        if self._next_is_ready:
            self._change_worker()
        self._take_midi(arrivals)
        now_ns = self._clock.now_ns()
        self._resting = self._may_rest(now_ns)
        self._next_tick_ns = now_ns + _REST_TICK_NS
        self._look_for_sleep(now_ns)
        self.conductor.tick(now_ns)
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
        self._hub.close()
        self._osc.close()
        if self._session is not None:
            self._session.close()
        if self._worker is not None:
            self._worker.close()
        if self._next is not None:
            self._next[1].close()

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
            self.conductor.stop(now_ns)
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

    def _take_callers(self) -> None:
        for name, link in self._hub.accept():
            if self._worker is None:
                self._employ(name, link)
            else:
                self._keep_waiting(name, link)

    def _employ(self, name: str, link: Link) -> None:
        self._worker, self.worker_name = link, name
        self.watch(link, self._take_answers)
        self._take_answers()

    def _keep_waiting(self, name: str, link: Link) -> None:
        """A worker with another model takes the place of ours when it is ready and nothing plays,
        rings or is composed."""
        self._dismiss_next()
        self._next = name, link
        self.watch(link, self._hear_next)
        self._hear_next()

    def _hear_next(self) -> None:
        if self._next is None:
            return
        try:
            messages = self._next[1].receive()
        except WorkerError:
            self._dismiss_next()
            return
        self._next_is_ready = self._next_is_ready or bool(messages)
        self._next[1].unread(messages)

    def _dismiss_next(self) -> None:
        if self._next is not None:
            self._selector.unregister(self._next[1])
            self._next[1].close()
        self._next, self._next_is_ready = None, False

    def _change_worker(self) -> None:
        """The one that waits takes over: what the other was told, it will be told."""
        if self._next is None or self.conductor.state in _PLAYING or self._output.sounding:
            return
        if self.aside.busy:
            return
        name, link = self._next
        self._next, self._next_is_ready = None, False
        self._selector.unregister(link)
        self._lose_worker("another one takes over")
        self._employ(name, link)

    def _take_answers(self) -> None:
        if self._worker is None:
            return
        try:
            messages = self._worker.receive()
        except WorkerError as error:
            self._lose_worker(str(error))
            return
        for message in messages:
            if isinstance(message, Ready):
                self.conductor.worker_up(message.model, message.lead_ns)
                self.workers += 1
            elif isinstance(message, Composed):
                self.aside.composed(message)
            elif isinstance(message, Memory):
                self.aside.remembered(message, self._clock.now_ns())
            else:
                self.conductor.worker(message, self._clock.now_ns())

    def _to_worker(self, *messages: Message) -> None:
        if self._worker is None:
            return
        try:
            self._worker.send(*messages)
        except WorkerError as error:
            self._lose_worker(str(error))

    def _lose_worker(self, reason: str) -> None:
        if self._worker is None:
            return
        log.warning("the worker is gone: %s", reason)
        self._selector.unregister(self._worker)
        self._worker.close()
        self._worker = None
        self.conductor.worker_down(self._clock.now_ns())
        self.aside.worker_lost()
