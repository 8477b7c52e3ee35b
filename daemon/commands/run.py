"""`rwkv-music-daemon run`: the service in the foreground."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from rwkv_music.errors import ConfigError, RwkvMusicError

from ..boot import start_log
from ..config import load_config
from ..monitor import monitor_absence
from ..supervisor import run_service
from .options import config_options

log = logging.getLogger(__name__)


@click.command()
@config_options
def command(config_path: str | None, overrides: Sequence[str]) -> None:
    """Run the service in the foreground until SIGTERM or Ctrl-C.

    Prints one line `ready ...` when ports, OSC and model are up, and says so to systemd where that
    waits for it. Exits with 0 when it was told to end, 2 for a wrong configuration, 3 for a port
    that cannot be had, 4 for a model that cannot be loaded.

    Example: rwkv-music-daemon run --set transport.tempo_bpm=96 --set generation.bars=2
    """
    config = load_config(config_path, overrides)
    start_log("supervisor", config.logging)
    if config.monitor.enabled and (absence := monitor_absence()):
        raise ConfigError(f"monitor.enabled: {absence}")
    for warning in config.warnings():
        click.echo(f"warning: {warning}", err=True)
    try:
        run_service(config, ready=click.echo)
    except RwkvMusicError as error:
        if config.logging.folder:  # where nobody reads standard error
            log.error("%s", error)
        raise
