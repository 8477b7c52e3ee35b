"""The process of the web page. It ends with the supervisor, whose pipe it listens at."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading

from rwkv_music.errors import RwkvMusicError

from .boot import read_boot
from .monitor.server import Monitor

log = logging.getLogger(__name__)


async def _serve_until_the_end(monitor: Monitor) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def listen() -> None:
        while os.read(0, 4096):  # not by sys.stdin: who ends while a thread reads that is aborted
            pass
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen, daemon=True).start()
    await monitor.serve(over, lambda place: log.info("the page is at %s", place))


def main() -> int:
    boot = read_boot()
    try:
        asyncio.run(_serve_until_the_end(Monitor(boot.settings())))
    except RwkvMusicError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
