"""The process that runs the model. It may crash, hang or be replaced: the music goes on."""

from __future__ import annotations

import gc
import logging
import selectors
import sys
import time
from typing import Any

import numpy as np

from rwkv_music.errors import CheckpointError, ConfigError, RwkvMusicError, WorkerError
from rwkv_music.memory import load_memory
from rwkv_music.model import load_model
from rwkv_music.model.protocol import BarRequest, MusicModel, propose
from rwkv_music.music import Meter

from .boot import read_boot
from .config import Config
from .links import Link, call
from .memories import start_memory
from .messages import Failed, Message, Ping, Pong, Ready, Stop
from .priority import MAKING, at_leisure, raise_priority
from .worker import Worker

_CHORD_NOTES, _ATTEMPTS = 4, 3
_EXIT_CODES = {ConfigError: 2, CheckpointError: 4}
_FLUSH_S = 0.01

log = logging.getLogger(__name__)


def chord_ns(model: MusicModel[Any]) -> int:
    """How long this model needs, here and now, from a bar line to a chord of four notes."""
    best = 0
    for attempt in range(_ATTEMPTS):
        began = time.perf_counter_ns()
        state = model.start()
        model.open_bar(state, Meter(), 120.0)
        notes = propose(model, state, BarRequest(Meter()), np.random.default_rng(attempt))
        for _ in zip(range(_CHORD_NOTES), notes, strict=False):
            pass
        taken = time.perf_counter_ns() - began
        best = taken if attempt == 0 else min(best, taken)  # the first one also warms the caches
    return best


def load_start(config: Config, model: MusicModel[Any]) -> Any:
    """The state to begin in; None where no memory is configured. Raises ConfigError when there is
    no such memory, CheckpointError when it is another model's."""
    path = start_memory(config)
    return None if path is None else load_memory(path, model)


def serve(worker: Worker, io: Link, supervisor: Link) -> None:
    """Work until told to stop. Raises WorkerError when one of the others is gone."""
    selector = selectors.DefaultSelector()
    selector.register(io, selectors.EVENT_READ)
    selector.register(supervisor, selectors.EVENT_READ)
    busy = False
    while True:
        wait_s = 0 if busy else _FLUSH_S if io.is_behind else None
        ready = {key.fileobj for key, _ in selector.select(wait_s)}
        io.flush()
        if io in ready:
            worker.tell(io.receive())
        if supervisor in ready:
            for message in supervisor.receive():
                if isinstance(message, Stop):
                    return
                if isinstance(message, Ping):
                    supervisor.send(Pong(message.number))
        busy = worker.hear_next() or worker.perform() or _compose(worker)


def _compose(worker: Worker) -> bool:
    if not worker.composes:
        return False
    with at_leisure():
        return worker.compose()


def main() -> int:
    boot = read_boot()
    config = boot.settings()
    try:
        supervisor = call(boot.supervisor_port, boot.name, boot.token)
        try:
            model = load_model(config.model.path, config.model.engine)
            start = load_start(config, model)
        except RwkvMusicError as error:
            code = next((c for kind, c in _EXIT_CODES.items() if isinstance(error, kind)), 1)
            supervisor.send(Failed(code, str(error)))
            return code
        log.info("%s", raise_priority(MAKING))
        ready: Message = Ready(model.name, chord_ns(model))
        io = call(boot.io_port, boot.name, boot.token)  # now it can play at once
        supervisor.send(ready)
        io.send(ready)
        gc.collect()
        gc.freeze()
        serve(Worker(model, io.send, start), io, supervisor)
    except WorkerError as error:
        log.info("ends: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
