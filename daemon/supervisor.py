"""The process that starts the two others, watches them, and silences what a dead one left.

io holds the ports and the time, the worker the model. When the worker dies it is started again
and the music thread notices no more than silence; when io dies, its destinations are silenced
from here and both are started again. This process holds nothing that can crash.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from types import FrameType

from rwkv_music.errors import CheckpointError, ConfigError, PortError, RwkvMusicError, WorkerError

from .boot import ENDING_SIGNALS, Boot, start_child
from .config import Config
from .links import Hub, Link
from .messages import (
    Connections,
    Failed,
    Listening,
    Message,
    Ping,
    Pong,
    Ready,
    Serving,
    Stop,
    WorkerState,
)
from .record import Record
from .rescue import Rescue

_LOOK_S = 0.25
_PING_S = 1.0
_HUNG_S = 5.0
_LOADING_S = 120.0  # a large model on a slow disk; it answers nothing meanwhile
_STOP_S = 3.0
_LAST_BREATH_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0
_STEADY_S = 30.0  # who has run so long has not crashed at once
_ERRORS: dict[int, type[RwkvMusicError]] = {2: ConfigError, 3: PortError, 4: CheckpointError}

log = logging.getLogger(__name__)


class Child:
    """One of the two processes: running, or to be started again at `start_s`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Link | None = None
        self.start_s = 0.0
        self.answered_s = 0.0
        self.serves = False  # it has done what it does before it can answer
        self.is_lost = False  # its link has ended, so that it is of no use any more
        self._pause_s = _FIRST_PAUSE_S
        self._started_s = 0.0

    def start(self, boot: Boot, now_s: float) -> None:
        self.process = start_child(f"{self.name}_process", boot)
        self._started_s = self.answered_s = now_s
        self.serves = self.is_lost = False

    def is_dead(self) -> bool:
        return self.process is not None and (self.is_lost or self.process.poll() is not None)

    def is_hung(self, now_s: float) -> bool:
        limit_s = _HUNG_S if self.serves else _LOADING_S
        return self.process is not None and now_s - self.answered_s > limit_s

    def send(self, message: Message) -> None:
        """Whoever does not take it is dead, which `is_dead` will tell."""
        if self.link is not None:
            try:
                self.link.send(message)
            except WorkerError:
                log.debug("%s takes no more messages", self.name)

    def bury(self, now_s: float) -> int | None:
        """Make sure that it is gone, and set when it may come back; its exit code."""
        code = None
        if self.process is not None:
            if self.is_lost:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_LAST_BREATH_S)
            self.process.kill()
            code = self.process.wait()
        if self.link is not None:
            self.link.close()
        self.process = self.link = None
        steady = now_s - self._started_s > _STEADY_S
        self._pause_s = _FIRST_PAUSE_S if steady else min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self.start_s = now_s + self._pause_s
        return code


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
        self._io, self._worker = Child("io"), Child("worker")
        self._io_port = 0
        self._ports = ""
        self._failed: Failed | None = None
        self._rescue = Rescue()
        self._connections = Connections("", ())
        self._record = Record(config.service.data_path, config.osc.port)
        self._has_osc_port = False  # and with it the record: no other service can be there
        self._ending = False
        self._next_ping_s = 0.0

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
        for child in (self._io, self._worker):
            if child.is_dead() or child.is_hung(now_s):
                self._lose(child, now_s)
        if now_s >= self._next_ping_s:
            self._next_ping_s = now_s + _PING_S
            for child in (self._io, self._worker):
                child.send(Ping(int(now_s)))

    def _start_children(self, now_s: float) -> None:
        if self._io.process is None and now_s >= self._io.start_s:
            self._io_port = 0
            self._io.start(self._boot(), now_s)
        if self._worker.process is None and self._io_port and now_s >= self._worker.start_s:
            self._io.send(WorkerState("restarting"))
            self._worker.start(self._boot(), now_s)

    def _boot(self) -> Boot:
        return Boot.of(self._config, self._token, self._hub.port, self._io_port)

    def _take_callers(self) -> None:
        for name, link in self._hub.accept():
            for child in (self._io, self._worker):
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
        for message in messages:
            match message:
                case Failed():
                    self._failed = message
                case Listening(port, ports):
                    child.serves = True
                    self._io_port, self._ports = port, ports
                    self._silence_leftovers()
                case Ready():
                    child.serves = True
                case Connections():
                    self._record.keep(message)
                    self._connections = message
                case Serving(model):
                    self._say_ready(model)
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

    def _say_ready(self, model: str) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._ready(f"ready {self._ports}; model {model}")

    def _lose(self, child: Child, now_s: float) -> None:
        """A child has died or hangs: silence what it may have left, and start it again."""
        if child.link is not None:
            self._take(child)  # its last words
        hung = child.is_hung(now_s)
        self._forget_link(child)
        code = child.bury(now_s)
        if not self._is_ready and (self._failed is not None or not hung):
            failed = self._failed or Failed(1, f"{child.name} ended with code {code}")
            raise _ERRORS.get(failed.code, WorkerError)(failed.message)
        log.error("%s is gone (%s): starting it again", child.name, "hung" if hung else code)
        if child is self._io:
            self._rescue.silence(self._connections)
            self._forget_link(self._worker)
            self._worker.bury(now_s)

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
        for child in (self._io, self._worker):
            child.send(Stop())
        until_s = time.monotonic() + _STOP_S
        clean = True
        for child in (self._io, self._worker):
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
