"""The process that starts the two others, watches them, and silences what a dead one left.

io holds the ports and the time, the worker the model. When the worker dies it is started again
and the music thread notices no more than silence; when io dies, its destinations are silenced
from here and both are started again. This process holds nothing that can crash.
"""

from __future__ import annotations

import logging
import secrets
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

from rwkv_music.errors import CheckpointError, ConfigError, PortError, RwkvMusicError, WorkerError

from .boot import ENDING_SIGNALS, Boot
from .child import Child
from .config import Config
from .links import Hub
from .messages import (
    Connections,
    Failed,
    Listening,
    Load,
    Loaded,
    NotLoaded,
    Patched,
    Ping,
    Pong,
    Ready,
    Serving,
    Stop,
    WorkerState,
)
from .monitor_child import MonitorChild
from .record import Record
from .rescue import Rescue
from .services.notify import Notifier

_WORKER, _WORKERS = "worker_process", ("worker", "worker-2")
_LOOK_S = 0.25
_PING_S = 1.0
_STOP_S = 3.0
_STOPPED_S = 2.0  # who looks as late as that has not been running
_ERRORS: dict[int, type[RwkvMusicError]] = {2: ConfigError, 3: PortError, 4: CheckpointError}

log = logging.getLogger(__name__)


class Supervisor:
    """`run` it; `ready` is called once, when the service is up."""

    def __init__(self, config: Config, ready: Callable[[str], None]) -> None:
        self._config = config
        self._ready = ready
        self._is_ready = False
        self._token = secrets.token_hex(16)
        self._hub = Hub(self._token)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._hub, selectors.EVENT_READ)
        self._io, self._worker = Child("io", "io_process"), Child(_WORKERS[0], _WORKER)
        self._next: Child | None = None  # a worker with another model, on its way
        self._next_config = config
        page = Boot.of("monitor", config, "", 0)  # no secret: it is only an OSC client
        self._monitor = MonitorChild(page) if config.monitor.enabled else None
        self._io_port = 0
        self._ports = ""
        self._rescue = Rescue()
        self._notifier = Notifier()
        self._connections = Connections("", ())
        self._patched = Patched((), (), ())
        self._record = Record(config.service.data_path, config.osc.port)
        self._has_osc_port = False  # and with it the record: no other service can be there
        self._ending = False
        self._next_ping_s = 0.0
        self._looked_s = time.monotonic()

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP. Raises ConfigError, PortError or CheckpointError
        when the service cannot be started."""
        restore = self._hear_signals()
        try:
            while not self._ending:
                self._look()
        finally:
            self._end()
            restore()

    # --- watching ------------------------------------------------------------------------------

    def _look(self) -> None:
        now_s = time.monotonic()
        self._excuse_after_a_stop(now_s)
        self._start_children(now_s)
        for key, _ in self._selector.select(_LOOK_S):
            if key.fileobj is self._hub:
                continue
            if isinstance(key.data, Child):
                self._take(key.data)
            else:
                key.data()
        self._take_callers()
        now_s = time.monotonic()
        if self._monitor is not None and self._is_ready:
            self._monitor.look(now_s)
        for child in self._children():
            if child.is_dead() or child.is_hung(now_s):
                self._lose(child, now_s)
        if now_s >= self._next_ping_s:
            self._next_ping_s = now_s + _PING_S
            self._feed_watchdog()
            for child in self._children():
                child.send(Ping(int(now_s)))

    def _excuse_after_a_stop(self, now_s: float) -> None:
        """When we were stopped ourselves (Ctrl-Z, a machine that slept or was paused), so were the
        children, most likely: their silence says nothing."""
        if now_s - self._looked_s > _STOPPED_S:
            for child in self._children():
                child.answered_s = now_s
        self._looked_s = now_s

    def _children(self) -> tuple[Child, ...]:
        return (self._io, self._worker, *([self._next] if self._next else []))

    def _feed_watchdog(self) -> None:
        """The service is alive when both children did something since it last was."""
        if self._io.has_progressed and self._worker.has_progressed:
            self._io.has_progressed = self._worker.has_progressed = False
            self._notifier.alive()

    def _start_children(self, now_s: float) -> None:
        if self._io.process is None and now_s >= self._io.start_s:
            self._io_port = 0
            self._start(self._io, now_s)
        if self._worker.process is None and self._io_port and now_s >= self._worker.start_s:
            self._io.send(WorkerState("restarting"))
            self._start(self._worker, now_s)

    def _start(self, child: Child, now_s: float) -> None:
        started = child.start(self._boot(child), now_s)
        if not started and not self._is_ready and child.failed is not None:
            raise WorkerError(child.failed.message)

    def _boot(self, child: Child) -> Boot:
        config = self._next_config if child is self._next else self._config
        return Boot.of(child.name, config, self._token, self._hub.port, self._io_port)

    def _take_callers(self) -> None:
        for name, link in self._hub.accept():
            for child in self._children():
                if child.name == name and child.link is None:
                    child.link = link
                    child.answered_s = time.monotonic()
                    self._selector.register(link, selectors.EVENT_READ, child)
                    self._take(child)

    def _take(self, child: Child) -> None:
        if child.link is None:
            return
        try:
            messages = child.link.receive()
        except WorkerError:
            self._forget_link(child)
            child.is_lost = True
            return
        if messages:
            child.answered_s = time.monotonic()
            child.has_progressed = True
        for message in messages:
            match message:
                case Failed():
                    child.failed = message
                case Listening(port, ports):
                    child.serves = True
                    self._io_port, self._ports = port, ports
                    child.send(self._patched)
                    self._silence_leftovers()
                case Ready():
                    child.serves = True
                case Connections():
                    self._record.keep(message)
                    self._connections = message
                case Patched():
                    self._patched = message
                case Serving(worker, model):
                    if self._next is not None and self._next.name == worker:
                        self._promote(self._next)
                    self._say_ready(model)
                case Load(path):
                    self._load(path)
                case Pong():
                    pass

    def _silence_leftovers(self) -> None:
        """When everything was killed at once, nobody could: the record says who was playing."""
        if self._has_osc_port:
            return
        self._has_osc_port = True
        left = self._record.read()
        if left is not None:
            log.warning("the last run was killed: silencing %s", ", ".join(left.destinations))
            self._rescue.silence(left)
            self._record.drop()

    def _forget_link(self, child: Child) -> None:
        if child.link is not None:
            self._selector.unregister(child.link)
            child.link.close()
            child.link = None

    def _load(self, path: str) -> None:
        """Start a second worker. It calls io as the first did, and io changes over when nothing
        plays."""
        self._drop_next("another model was asked for")
        # The memory to begin from is the first model's, and would be refused.
        model = replace(self._config.model, path=path, memory="")
        self._next_config = replace(self._config, model=model)
        self._next = Child(next(n for n in _WORKERS if n != self._worker.name), _WORKER)
        if not self._next.start(self._boot(self._next), time.monotonic()):
            self._drop_next("the system refuses another process")

    def _promote(self, child: Child) -> None:
        """The second worker plays: it is the first from now on."""
        self._forget_link(self._worker)
        self._worker.bury(time.monotonic())
        self._worker, self._next = child, None
        self._config = self._next_config
        self._io.send(Loaded())

    def _drop_next(self, reason: str) -> None:
        if self._next is not None:
            path = self._next_config.model.path or "the embedded model"
            log.warning("%s: cannot be loaded: %s", path, reason)
            self._forget_link(self._next)
            self._next.bury(time.monotonic())
            self._next = None
            self._io.send(NotLoaded(reason))

    def _say_ready(self, model: str) -> None:
        if self._is_ready:
            self._notifier.status(f"{self._ports}; model {model}")
        else:
            self._is_ready = True
            self._ready(f"ready {self._ports}; model {model}")
            self._notifier.ready(f"{self._ports}; model {model}")

    def _lose(self, child: Child, now_s: float) -> None:
        """A child has died or hangs: silence what it may have left, and start it again."""
        if child.link is not None:
            self._take(child)  # its last words
        hung = child.is_hung(now_s)
        if child is self._next:
            self._drop_next(child.failed.message if child.failed else "its process ended")
            return
        self._forget_link(child)
        code = child.bury(now_s)
        if not self._is_ready and (child.failed is not None or not hung):
            failed = child.failed or Failed(1, f"{child.name} ended with code {code}")
            raise _ERRORS.get(failed.code, WorkerError)(failed.message)
        reason = child.failed.message if child.failed else "it hung" if hung else f"code {code}"
        log.error("%s is gone (%s): starting it again", child.name, reason)
        if child is self._io:
            self._rescue.silence(self._connections)
            self._forget_link(self._worker)
            self._worker.bury(now_s)
            self._drop_next("the process of the ports ended")

    # --- the end -------------------------------------------------------------------------------

    def _hear_signals(self) -> Callable[[], None]:
        """Let the signals that mean it end the loop at once; what undoes it."""
        hears, wakes = socket.socketpair()
        hears.setblocking(False)
        wakes.setblocking(False)
        self._selector.register(hears, selectors.EVENT_READ, lambda: hears.recv(64))
        before_fd = signal.set_wakeup_fd(wakes.fileno())

        def end(number: int, frame: FrameType | None) -> None:
            self._ending = True

        before = {number: signal.signal(number, end) for number in ENDING_SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before_fd)
            hears.close()
            wakes.close()

        return restore

    def _end(self) -> None:
        """io silences and closes its ports; whoever does not end is ended."""
        self._notifier.ending()
        if self._monitor is not None:
            self._monitor.end()
        for child in self._children():
            child.send(Stop())
        until_s = time.monotonic() + _STOP_S
        clean = True
        for child in self._children():
            if child.process is None:
                continue
            try:
                code = child.process.wait(max(until_s - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                code = None
                child.bury(time.monotonic())
            if child is self._io and code != 0:
                clean = False  # it may have died before it could silence anybody
        if not clean:
            self._rescue.silence(self._connections)
        self._rescue.end()
        if self._has_osc_port:
            self._record.drop()
        self._selector.close()
        self._hub.close()


def run_service(config: Config, ready: Callable[[str], None]) -> None:
    """Run the service in this process and its children until it is told to end."""
    Supervisor(config, ready).run()
