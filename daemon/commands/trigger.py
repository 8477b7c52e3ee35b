"""`trigger`: ask the running service for a completion."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ..config import load_config
from ..osc.client import OscClient
from .options import service_options


@click.command()
@click.option(
    "--bars", type=click.IntRange(1, 64), metavar="N", help="Length; as configured if not given."
)
@service_options
def command(
    bars: int | None, timeout_s: float, config_path: str | None, overrides: Sequence[str]
) -> None:
    """Ask the running service to continue the music at the next launch point.

    Example: rwkv-music-daemon trigger --bars 8
    """
    osc = load_config(config_path, overrides).osc
    host = "127.0.0.1" if osc.host == "0.0.0.0" else osc.host
    args = () if bars is None else (bars,)
    with OscClient(host, osc.port, timeout_s) as client:
        answer = client.request("/rwkv/trigger", *args)[-1]
    request, start_bar = answer.args
    click.echo(f"accepted: request {request}, from bar {start_bar} on (counted from 0)")
