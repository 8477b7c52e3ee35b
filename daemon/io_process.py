"""The process of the ports: music in, music out, OSC. It never imports a model."""

from __future__ import annotations

import gc
import logging
import sys

from rwkv_music.errors import ConfigError, PortError, RwkvMusicError, WorkerError
from rwkv_music.timebase import NS_PER_S

from .boot import Boot, read_boot
from .clock import Clock, SystemClock
from .io_loop import IoLoop
from .learned_file import LearnedFile
from .links import Hub, Link, call
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
    Serving,
    Stop,
    WorkerState,
)
from .osc.server import OscServer
from .output_thread import Output, OutputThread
from .ports.machine import MachinePorts
from .priority import raise_priority
from .rescue import insist_on_silence

_LOOK_NS = NS_PER_S // 2
_SWITCH_INTERVAL_S = 0.0005  # so that the output thread never waits for the other one
_EXIT_CODES = {ConfigError: 2, PortError: 3}

log = logging.getLogger(__name__)


class IoProcess:
    """An IoLoop on the machine's ports, that answers to the supervisor."""

    def __init__(self, boot: Boot, supervisor: Link) -> None:
        config = boot.settings()
        clock: Clock = SystemClock()
        self._clock = clock
        self._supervisor = supervisor
        self._ending = False
        self._is_orphan = False
        self._told_workers = 0
        # First, because this port says whether another service is there already.
        osc = OscServer(config.osc.host, config.osc.port)
        self._ports = MachinePorts(config.midi, clock)
        self._output = Output(self._ports, clock)
        self._thread = OutputThread(self._output)
        self._hub = Hub(boot.token)
        self._loop = IoLoop(
            config,
            clock,
            self._ports,
            self._output,
            osc,
            self._hub,
            learned=LearnedFile(config.service.data_path, config.midi.triggers),
            load_model=lambda path: self._tell(Load(path)),
        )
        self._loop.watch(supervisor, self._take_orders)
        self._told: Connections | None = None
        self._told_patch = Patched((), (), ())
        self._next_look_ns = 0
        where = f"{self._ports.api}: {config.midi.input}, {config.midi.output}; OSC {osc.port}"
        supervisor.send(Listening(self._hub.port, where))

    def run(self) -> None:
        """Until the supervisor says stop, or is gone. Everything is silent afterwards. Raises
        WorkerError when nothing can be sent any more."""
        try:
            self._thread.start()
            while not self._ending:
                self._loop.step()
                self._report()
        finally:
            self._loop.close()
            self._thread.end()
            if self._is_orphan:  # the supervisor's ports are gone as well, and JACK notices
                insist_on_silence(self._ports.api, self._ports.send)
            self._ports.close()

    def _take_orders(self) -> None:
        try:
            orders = self._supervisor.receive()
        except WorkerError:
            self._lose_supervisor()
            return
        for order in orders:
            match order:
                case Stop():
                    self._ending = True
                case Ping(number):
                    self._tell(Pong(number))
                case Patched(sources, clock_sources, destinations):
                    self._ports.patchbay.keep(sources, clock_sources, destinations)
                case WorkerState(state):
                    self._loop.publish("/rwkv/worker", state)
                case Loaded():
                    self._loop.aside.model_loaded()
                case NotLoaded(reason):
                    self._loop.aside.model_not_loaded(reason)

    def _report(self) -> None:
        """Tell the supervisor who listens to us: it must be able to silence them without us."""
        if self._told_workers != self._loop.workers_come:
            self._told_workers = self._loop.workers_come
            self._tell(Serving(self._loop.workers.name, self._loop.conductor.model))
        now_ns = self._clock.now_ns()
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + _LOOK_NS
        if not self._thread.is_alive():
            raise WorkerError("the output thread has ended")
        if self._ports.look(now_ns):
            self._loop.conductor.silence(now_ns)
        connections = Connections(self._ports.api, self._ports.connections())
        if connections != self._told:
            self._told = connections
            self._tell(connections)
        patch = Patched(*self._ports.patchbay.kept)
        if patch != self._told_patch:
            self._told_patch = patch
            self._tell(patch)

    def _tell(self, message: Pong | Serving | Connections | Patched | Load) -> None:
        try:
            self._supervisor.send(message)
        except WorkerError:
            self._lose_supervisor()

    def _lose_supervisor(self) -> None:
        log.warning("the supervisor is gone: silence, and the end")
        self._ending = self._is_orphan = True


def main() -> int:
    boot = read_boot()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        supervisor = call(boot.supervisor_port, boot.name, boot.token)
    except WorkerError as error:
        log.error("%s", error)
        return 1
    try:
        process = IoProcess(boot, supervisor)
    except RwkvMusicError as error:
        code = next((c for kind, c in _EXIT_CODES.items() if isinstance(error, kind)), 1)
        supervisor.send(Failed(code, str(error)))
        return code
    log.info("%s", raise_priority())
    gc.collect()
    gc.freeze()
    process.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
