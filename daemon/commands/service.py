"""`service`: RWKV Music in the background, from login on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..config import Config, load_config
from ..requirements import need, relative_paths
from ..services.managers import this_systems
from .options import config_options


@click.group()
def command() -> None:
    """Run RWKV Music in the background: systemd, launchd, or Windows' scheduler.

    \b
    Examples:
      rwkv-music-daemon service install
      rwkv-music-daemon service logs --follow
    """


@command.command()
@click.option("--dry-run", is_flag=True, help="Print what would be written, and do nothing.")
@config_options
def install(dry_run: bool, config_path: str | None, overrides: Sequence[str]) -> None:
    """Start the service now and at every login. Installing again replaces it.

    The options of `run` may be given here, and hold from then on.

    Example: rwkv-music-daemon service install --set midi.api=jack
    """
    config = load_config(config_path, overrides)
    need(config)  # a service that cannot start should not be installed
    manager = this_systems()
    program = run_command(config_path, (*overrides, *_absolute(config)))
    if config.logging.folder:
        said = "warning: logging.folder: not for a service in the background: `service logs` has it"
        click.echo(said, err=True)
    if dry_run:
        path, text = manager.definition(program)
        click.echo(f"{path}:\n\n{text}")
        return
    hint = manager.install(program)
    click.echo("The service is installed and starts; `rwkv-music-daemon service status` says how")
    click.echo(f"it is. {hint[:1].upper()}{hint[1:]}")


@command.command()
def uninstall() -> None:
    """Stop the service, and do not start it any more. What it remembers stays.

    Example: rwkv-music-daemon service uninstall
    """
    click.echo("Uninstalled." if this_systems().uninstall() else "It was not installed.")


@command.command()
def stop() -> None:
    """Stop the service; it starts again with the next login.

    Example: rwkv-music-daemon service stop
    """
    this_systems().stop()


@command.command()
def start() -> None:
    """Start the service that is installed.

    Example: rwkv-music-daemon service start
    """
    this_systems().start()


@command.command()
def restart() -> None:
    """Start the service anew, with its configuration as it is now.

    Example: rwkv-music-daemon service restart
    """
    manager = this_systems()
    manager.stop()
    manager.start()


@command.command()
def status() -> None:
    """Say whether the service runs; exits with 1 when it does not.

    Example: rwkv-music-daemon service status
    """
    runs, text = this_systems().status()
    click.echo(text)
    sys.exit(0 if runs else 1)


@command.command()
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="How many of the last.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
def logs(lines: int, follow: bool) -> None:
    """Print what the service has written.

    Example: rwkv-music-daemon service logs --follow
    """
    try:
        for line in this_systems().logs(lines, follow):
            click.echo(line)
    except KeyboardInterrupt:
        pass


def _absolute(config: Config) -> Iterator[str]:
    """Overrides that make the paths of `--set` mean the same files from any folder. (Those of the
    configuration file do, and stay in it, where they may be changed.)"""
    for key, value in relative_paths(config):
        yield f"{key}={Path(value).absolute()}"


def _pipewire() -> tuple[str, ...]:
    """pw-jack, if that is how this was started: PipeWire's JACK is found by nothing else."""
    program = shutil.which("pw-jack")
    is_used = "pipewire" in os.environ.get("LD_LIBRARY_PATH", "")
    return (program,) if program and is_used else ()


def run_command(config_path: str | None, overrides: Sequence[str]) -> tuple[str, ...]:
    """The command that runs the service with these options, from any folder."""
    python = Path(sys.executable)
    windowless = python.with_name("pythonw.exe")  # it would have a console window otherwise
    if sys.platform == "win32" and windowless.exists():
        python = windowless
    words = [*_pipewire(), str(python), "-m", "rwkv_music_daemon.cli", "run"]
    if config_path is not None:
        words += ["--config", str(Path(config_path).absolute())]
    for override in overrides:
        words += ["--set", override]
    return tuple(words)
