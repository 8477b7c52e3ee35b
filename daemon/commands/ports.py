"""`ports`: the MIDI ports of this machine."""

from __future__ import annotations

import click

from ..clock import SystemClock
from ..ports.apis import REMEDIES, apis_here
from ..ports.base import MidiSystem
from ..ports.systems import open_system, unavailable


@click.command()
@click.option(
    "--all", "all_apis", is_flag=True, help="Name the MIDI systems that are not there as well."
)
def command(all_apis: bool) -> None:
    """List the MIDI ports of this machine, by full name, for each MIDI system.

    What `midi.api: auto` takes is marked. Exits with 1 when there is no MIDI system at all.

    Example: rwkv-music-daemon ports
    """
    taken = ""
    for api in apis_here():
        reason = unavailable(api)
        if reason is None:
            click.echo(f"{api}{'' if taken else ' (what midi.api: auto takes)'}")
            taken = taken or api
            _list(open_system(api, SystemClock()))
        elif all_apis:
            click.echo(f"{api}: not available: {reason}\n  to do: {REMEDIES[api]}")
    if not taken:
        click.echo("no MIDI system is available; see `rwkv-music-daemon doctor`", err=True)
        raise SystemExit(1)


def _list(system: MidiSystem) -> None:
    for title, names in (("can be heard", system.inputs()), ("can be played", system.outputs())):
        click.echo(f"  {title}:")
        for name in names or ("none",):
            click.echo(f"    {name}")
    system.close()
