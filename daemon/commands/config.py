"""`config`: check a configuration, or show the effective one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from rwkv_music.atomic_file import replacing
from rwkv_music.errors import ConfigError

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
      rwkv-music-daemon config show --set osc.port=7780 -o my.yaml
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
@click.option(
    "-o",
    "--output",
    "out_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write it there: to your own configuration, too.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there already.")
@config_options
def show(
    out_path: Path | None, force: bool, config_path: str | None, overrides: Sequence[str]
) -> None:
    """Print the effective configuration, each key with its meaning.

    Example: rwkv-music-daemon config show -o my.yaml
    """
    read = Path(config_path) if config_path is not None else directories.config_file()
    if out_path is None and _is_output(read):
        raise ConfigError(
            f"{read}: is what the output goes to, and a shell with > empties it before it can be"
            " read; put back what it held, and write it with config show -o FILE"
        )
    text = commented_yaml(load_config(config_path, overrides))
    if out_path is None:
        click.echo(text, nl=False)
        return
    if out_path.exists() and not force:
        raise ConfigError(f"{out_path}: is there already; --force replaces it")
    _write(out_path, text)
    click.echo(f"{out_path}: written")


def _is_output(path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(sys.stdout.fileno()), path.stat())
    except (OSError, ValueError):  # there is no such file, or nothing that has a number
        return False


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _origin(config_path: str | None) -> str:
    if config_path is not None:
        return config_path
    own = directories.config_file()
    return str(own) if own.exists() else f"defaults (there is no {own})"
