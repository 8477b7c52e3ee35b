"""`train` (and `rwkv-music-train`): from a folder of MIDI files to a model that plays."""

from __future__ import annotations

import sys

import click

from rwkv_music import __version__
from rwkv_music.errors import RwkvMusicError

from .commands import data, judging, models, runs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="train")
def cli() -> None:
    """Train a model that completes music, or make one your own.

    Example: train prepare MIDIS -o prepared && train run --set data.folder=prepared
    """


for module in (data, runs, judging, models):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Entry point. Exits with 1 for any error of ours."""
    try:
        cli(prog_name="train")
    except RwkvMusicError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        click.echo(f"error: {error.name} is missing: pip install 'rwkv-music[train]'", err=True)
        sys.exit(1)
    except OSError as error:  # of the system, such as a full disk: no fault of ours to trace
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(1)
