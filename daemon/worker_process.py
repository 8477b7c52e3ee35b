"""The process that runs the model. It may crash, hang or be replaced: the music goes on."""

from __future__ import annotations

import gc
import logging
import selectors
import sys

from rwkv_music.errors import CheckpointError, ConfigError, RwkvMusicError, WorkerError
from rwkv_music.model import load_model

from .boot import read_boot
from .links import Link, call
from .messages import Failed, Message, Ping, Pong, Ready, Stop
from .worker import Worker

_EXIT_CODES = {ConfigError: 2, CheckpointError: 4}

log = logging.getLogger(__name__)


def serve(worker: Worker, io: Link, supervisor: Link) -> None:
    """Work until told to stop. Raises WorkerError when one of the others is gone."""
    selector = selectors.DefaultSelector()
    selector.register(io, selectors.EVENT_READ)
    selector.register(supervisor, selectors.EVENT_READ)
    busy = False
    while True:
        ready = {key.fileobj for key, _ in selector.select(0 if busy else None)}
        if io in ready:
            worker.handle(io.receive())
        if supervisor in ready:
            for message in supervisor.receive():
                if isinstance(message, Stop):
                    return
                if isinstance(message, Ping):
                    supervisor.send(Pong(message.number))
        busy = worker.work()


def main() -> int:
    boot = read_boot("worker")
    config = boot.settings()
    try:
        supervisor = call(boot.supervisor_port, "worker", boot.token)
        try:
            model = load_model(config.model.path, config.model.engine)
        except RwkvMusicError as error:
            code = next((c for kind, c in _EXIT_CODES.items() if isinstance(error, kind)), 1)
            supervisor.send(Failed(code, str(error)))
            return code
        io = call(boot.io_port, "worker", boot.token)
        ready: Message = Ready(model.name)
        supervisor.send(ready)
        io.send(ready)
        gc.collect()
        gc.freeze()
        serve(Worker(model, io.send), io, supervisor)
    except WorkerError as error:
        log.info("ends: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
