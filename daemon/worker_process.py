"""The process that runs the model. It may crash, hang or be replaced: the music goes on."""

from __future__ import annotations

import gc
import logging
import selectors
import sys
import time
from dataclasses import asdict
from typing import Any

from rwkv_music.errors import CheckpointError, ConfigError, RwkvMusicError, WorkerError
from rwkv_music.model import load_model
from rwkv_music.model.protocol import MusicModel
from rwkv_music.timebase import NS_PER_MS

from .beginning import load_start
from .boot import read_boot
from .lines import encode
from .links import Link, call
from .messages import Failed, Generate, Hear, Message, Ping, Pong, Proposed, Ready, Stop
from .parameters import Generation
from .priority import MAKING, at_leisure, raise_priority
from .worker import Worker

_CHORD_NOTES, _ATTEMPTS = 4, 3
# What a first request may wait on its way, where other programs want the processor too: no more is
# known of that before there was one.
WAY_NS = 20 * NS_PER_MS
_EXIT_CODES = {ConfigError: 2, CheckpointError: 4}
_FLUSH_S = 0.01

log = logging.getLogger(__name__)


def first_chord_ns(model: MusicModel[Any], generation: Generation) -> int:
    """How long a first chord of four notes may take at first: what it takes here and now by all
    that a request goes through, which is warm then, and something for the way."""
    bar = Hear(0, "4/4", 120.0, ((0, 60, 80, 12, False),), closed=True)
    wishes = asdict(generation)
    notes: list[bytes] = []

    def send(answer: Message) -> None:
        line = encode(answer)
        if isinstance(answer, Proposed):
            notes.append(line)

    longest = 0
    for attempt in range(_ATTEMPTS):
        notes.clear()
        worker = Worker(model, send)
        worker.handle([bar])
        began = time.perf_counter_ns()
        worker.handle([Generate(1, 1, 1, 0, "4/4", 120.0, (1, 0), (attempt,), False, wishes)])
        while len(notes) < _CHORD_NOTES and worker.perform():
            pass
        taken = time.perf_counter_ns() - began
        longest = max(longest, taken if attempt else 0)  # the first one only warms the caches
    return longest + WAY_NS


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
        ready: Message = Ready(model.name, first_chord_ns(model, config.generation))
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
