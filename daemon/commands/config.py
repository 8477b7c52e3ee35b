"""`config`: check a configuration, or show the effective one."""

from __future__ import annotations

from collections.abc import Sequence

import click

from .. import directories
from ..config import load_config
from ..config_document import commented_yaml
from ..requirements import need
from .options import config_options


@click.group()
def command() -> None:
    """Check a configuration, or show the effective one.

    \b
    Examples:
      rwkv-music-daemon config check
      rwkv-music-daemon config show --set osc.port=7780 > my.yaml
    """


@command.command()
@config_options
def check(config_path: str | None, overrides: Sequence[str]) -> None:
    """Say whether the configuration can be used here.

    Exits with 2 if not, and says what is wrong.

    Example: rwkv-music-daemon config check --config my.yaml
    """
    config = load_config(config_path, overrides)
    for warning in config.warnings():
        click.echo(f"warning: {warning}", err=True)
    need(config)
    click.echo(f"{_origin(config_path)}: in order")


@command.command()
@config_options
def show(config_path: str | None, overrides: Sequence[str]) -> None:
    """Print the effective configuration, each key with its meaning.

    Example: rwkv-music-daemon config show > my.yaml
    """
    click.echo(commented_yaml(load_config(config_path, overrides)), nl=False)


def _origin(config_path: str | None) -> str:
    if config_path is not None:
        return config_path
    own = directories.config_file()
    return str(own) if own.exists() else f"defaults (there is no {own})"
