"""`rwkv-music-daemon run`: the service in the foreground."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from rwkv_music.errors import ConfigError, RwkvMusicError

from ..boot import start_log
from ..config import from_dict, load_config
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
    try:
        config = load_config(config_path, overrides)
    except ConfigError as error:
        _keep(error, overrides)
        raise
    start_log("supervisor", config.logging)
    in_folder = bool(config.logging.folder)  # where nobody reads standard output and error

    def say(line: str) -> None:
        click.echo(line)
        if in_folder:
            log.info("%s", line)

    try:
        if config.monitor.enabled and (absence := monitor_absence()):
            raise ConfigError(f"monitor.enabled: {absence}")
        for warning in config.warnings():
            log.warning("%s", warning)
        run_service(config, say)
    except (RwkvMusicError, OSError) as error:
        if in_folder:
            log.error("%s", error)
        raise


def _keep(error: ConfigError, overrides: Sequence[str]) -> None:
    """Log why there is no configuration, in the folder that the command line names: a service
    manager that keeps no log itself has put it there."""
    named = [override for override in overrides if override.startswith("logging.folder=")]
    folder = named[-1].partition("=")[2].strip() if named else ""
    if folder:
        start_log("supervisor", from_dict({"logging": {"folder": folder}}).logging)
        log.error("%s", error)
