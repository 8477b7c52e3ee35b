"""`rwkv-music-daemon monitor`: the web page of a service that runs already."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import click

from ..boot import start_log
from ..config import load_config
from ..monitor.server import Monitor
from .options import config_options


@click.command()
@config_options
def command(config_path: str | None, overrides: Sequence[str]) -> None:
    """Show in a browser what is heard and played, until Ctrl-C.

    A service with `monitor.enabled` brings the page with it; this is for one that has not.

    Example: rwkv-music-daemon monitor --set monitor.port=8080
    """
    config = load_config(config_path, overrides)
    start_log("monitor", config.logging)
    monitor = Monitor(config)

    async def serve() -> None:
        await monitor.serve(asyncio.Event(), click.echo)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
