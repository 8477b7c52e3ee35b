"""`models`: the checkpoints of this machine: what they are, and the same with fewer bits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.model.packed_weights import PackedWeights, load_checkpoint, save_packed
from rwkv_music.model.weights import Weights, load_weights
from rwkv_music.tokenizer import load_vocabulary

from ..config import load_config
from ..models import EMBEDDED, MODELS, Models
from .options import config_options


@click.group()
def command() -> None:
    """List, look at and quantise models.

    \b
    Examples:
      rwkv-music-daemon models list
      rwkv-music-daemon models quantize large.safetensors large-4.safetensors --bits 4
    """


@command.command("list")
@config_options
def list_(config_path: str | None, overrides: Sequence[str]) -> None:
    """List the models that the service can be asked for.

    Example: rwkv-music-daemon models list
    """
    folder = load_config(config_path, overrides).service.data_path / MODELS
    for name in Models(folder).names():
        if name == EMBEDDED:
            click.echo(f"{name}: the embedded model")
            continue
        try:
            click.echo(f"{name}: {_line(load_checkpoint(folder / name), folder / name)}")
        except CheckpointError as error:
            click.echo(f"{name}: {error}")
    click.echo(f"Put others into {folder}")


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def info(path: Path) -> None:
    """Say what a checkpoint is, its tokens, and how it was trained.

    Example: rwkv-music-daemon models info large.safetensors
    """
    weights = load_checkpoint(path)
    click.echo(_line(weights, path))
    click.echo(f"sizes: {weights.config}")
    try:
        weights.check_vocabulary(load_vocabulary())
    except CheckpointError as error:
        click.echo(f"tokens: not usable here: {error}")
    else:
        known = "the ones of this version" if weights.vocabulary_hash else "as many as here"
        click.echo(f"tokens: {len(load_vocabulary())}, {known}")
    for name, value in (weights.facts or {}).items():
        click.echo(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")


@command.command()
@click.argument("in_path", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out_path", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--bits",
    type=click.Choice(["16", "8", "4"]),
    default="8",
    show_default=True,
    help="For a weight.",
)
@click.option("--force", is_flag=True, help="Replace OUT if it is there already.")
def quantize(in_path: Path, out_path: Path, bits: str, force: bool) -> None:
    """Write a checkpoint with fewer bits.

    It loads at once, since the native engine uses it where it lies, and two processes share its
    memory. It runs on every machine.

    Example: rwkv-music-daemon models quantize large.safetensors large-4.safetensors --bits 4
    """
    from rwkv_music.engine.native import pack

    if out_path.exists() and out_path.samefile(in_path):
        raise ConfigError(f"{out_path}: is the checkpoint itself; choose another name")
    if out_path.exists() and not force:
        raise ConfigError(f"{out_path}: is there already; --force replaces it")
    packed = pack(load_weights(in_path), int(bits))
    save_packed(out_path, packed)
    before, after = in_path.stat().st_size, out_path.stat().st_size
    click.echo(f"{out_path}: {bits} bits, {_mb(after)} MB; {in_path.name} has {_mb(before)} MB")


def _line(weights: Weights | PackedWeights, path: Path) -> str:
    config = weights.config
    kind = "RWKV-8 enn" if config.enn else "RWKV-7"
    bits = f"{weights.bits} bits" if isinstance(weights, PackedWeights) else "not quantised"
    return (
        f"{kind}, {config.layers} layers, width {config.width},"
        f" {config.parameters / 1e6:.1f} million weights, {bits}, {_mb(path.stat().st_size)} MB"
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"
