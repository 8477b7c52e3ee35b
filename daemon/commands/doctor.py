"""`doctor`: what is there, what is missing, how to get it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..config import load_config
from ..diagnosis import State, examine
from .options import config_options

_COLOURS = {State.OK: "green", State.ABSENT: "yellow", State.MISSING: "red"}


@click.command()
@config_options
def command(config_path: str | None, overrides: Sequence[str]) -> None:
    """Say what is there, what is missing, and how to get it.

    `missing` is what the daemon cannot do without, `absent` what is good to have. Exits with 0
    when nothing is missing, else with 1.

    Example: rwkv-music-daemon doctor
    """
    missing = 0
    for finding in examine(load_config(config_path, overrides)):
        missing += finding.state is State.MISSING
        mark = click.style(f"{finding.state.value:8}", fg=_COLOURS[finding.state])
        click.echo(mark + finding.what)
        if finding.remedy:
            click.echo(f"{'':8}-> {finding.remedy}")
    if missing:
        click.echo(f"{missing} missing: the daemon cannot run like this", err=True)
        raise SystemExit(1)
