"""`bridges`: the scripts that run inside DAWs, and how they get there."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ..bridges import (
    BRIDGES,
    Bridge,
    BridgeError,
    find,
    host_folders,
    install,
    other_port,
    scripts_folder,
)
from ..config import load_config
from .options import config_options

_PROGRAM = "rwkv-music-daemon"


@click.group()
def command() -> None:
    """List or install the scripts that run inside DAWs: Live, REAPER, Ardour, Pure Data.

    \b
    Examples:
      rwkv-music-daemon bridges list
      rwkv-music-daemon bridges install ableton
    """


@command.command("list")
def list_() -> None:
    """List the bridges, and where their hosts look on this machine.

    Example: rwkv-music-daemon bridges list
    """
    for bridge in BRIDGES.values():
        click.echo(f"{bridge.name}: {bridge.host}: {bridge.does} ({bridge.page})")
        places = [str(folder) for folder in host_folders(bridge)]
        for place in places or ["not found on this machine"]:
            click.echo(f"    {place}")


@command.command()
def path() -> None:
    """Print the folder that the scripts are in, for a copy by hand.

    Example: rwkv-music-daemon bridges path
    """
    click.echo(str(scripts_folder()))


@command.command("install")
@click.argument("name")
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The host's folder, where it is not the usual one: Live's Remote Scripts, REAPER's"
    " resource path, Ardour's configuration, any for Pure Data.",
)
@config_options
def install_(
    name: str, folder: Path | None, config_path: str | None, overrides: Sequence[str]
) -> None:
    """Copy the scripts of a bridge to where its host looks for them.

    They talk to the port that the configuration names (`osc.port`). A newer version replaces an
    older one; settings that you changed stay.

    \b
    Examples:
      rwkv-music-daemon bridges install reaper
      rwkv-music-daemon bridges install ableton --set osc.port=7780
    """
    bridge = find(name)
    folders = [folder] if folder is not None else host_folders(bridge)
    if not folders:
        raise BridgeError(
            f"{bridge.host} was not found on this machine{_looked_for(bridge)}; start it once, or"
            f" say where its folder is with --to DIR ({bridge.page})"
        )
    port = load_config(config_path, overrides).osc.port
    if port == 0:
        raise BridgeError(
            "osc.port is 0, another port at every start; scripts need one that stays, such as"
            " --set osc.port=7780"
        )
    for target in folders:
        for written in install(bridge, target, port, _program()):
            click.echo(str(written))
        kept = other_port(bridge, target, port)
        if kept is not None:
            click.echo(kept)
    click.echo(f"Now: {bridge.then.format(port=port)} ({bridge.page})")


def _looked_for(bridge: Bridge) -> str:
    places = bridge.folders.get(sys.platform, ())
    return f": there is no {' nor '.join(places)}" if places else ""


def _program() -> Path | None:
    """This very program, as scripts can run it."""
    own = Path(sys.argv[0])
    places = [own, own.with_name(f"{own.name}.exe")] if own.stem == _PROGRAM else []
    found = shutil.which(_PROGRAM)
    places += [Path(found)] if found else []
    return next((place.absolute() for place in places if place.is_file()), None)
