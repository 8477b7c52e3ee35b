"""`memory`: states to begin from, made of MIDI files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from rwkv_music.errors import CheckpointError, ConfigError, MidiFileError
from rwkv_music.memory import save_memory
from rwkv_music.midi_files import ReadOptions
from rwkv_music.midi_isolated import read_isolated
from rwkv_music.model import load_model
from rwkv_music.model.tensor_file import TensorFile
from rwkv_music.music import Phrase
from rwkv_music.session import HeardNote, Session

from ..config import Config, load_config
from ..memories import MEMORIES, NAMES, Memories, shipped_memories
from ..osc.arguments import OscError
from .options import config_options, counted


@click.group()
def command() -> None:
    """Memories: what the service can begin from, so that it has a manner from the first note.

    Those that come with the embedded model stay as they are; one of yours by the same name comes
    before.

    \b
    Examples:
      rwkv-music-daemon memory make waltz chopin.mid my-waltz.mid
      rwkv-music-daemon run --set model.memory=waltz
    """


@command.command()
@click.argument("name")
@click.argument(
    "paths", metavar="FILE.mid...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--bars",
    type=click.IntRange(min=1),
    metavar="N",
    help="Hear the first N bars of each file only.",
)
@click.option("--model", "model_path", metavar="PATH", help="Weights; by default as configured.")
@click.option("--force", is_flag=True, help="Replace NAME if it is one of yours already.")
@config_options
def make(
    name: str,
    paths: Sequence[Path],
    bars: int | None,
    model_path: str | None,
    force: bool,
    config_path: str | None,
    overrides: Sequence[str],
) -> None:
    """Let the model hear MIDI files, and keep its state as NAME.

    It hears one after the other; the last is what it remembers best. The memory fits the model that
    made it, and no other.

    \b
    Examples:
      rwkv-music-daemon memory make waltz chopin.mid my-waltz.mid
      rwkv-music-daemon ctl memory/load waltz
    """
    config = load_config(config_path, overrides)
    memories = _memories(config)
    path = _own_path(memories, name)
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; --force replaces it")
    hidden = memories.find(name) is not None and not path.exists()
    phrases = [_heard(midi, bars) for midi in paths]
    try:
        memories.make_folder()
    except OscError as error:
        raise ConfigError(str(error)) from error
    if model_path is not None:
        config = replace(config, model=replace(config.model, path=model_path))
    model = load_model(config.model.path, config.model.engine)
    session = Session(model)
    together = [bar for phrase in phrases for bar in phrase]
    with click.progressbar(
        together, label="bars", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as shown:
        for number, bar in enumerate(shown):
            notes = map(HeardNote, bar.notes)
            session.hear(number, bar.meter, bar.tempo_bpm, notes, closed=True)
    facts = {"files": [midi.name for midi in paths], "bars": len(together)}
    save_memory(path, model, session.fork(), facts, session.bar_weights())
    click.echo(f"{path}: {counted(len(together), 'bar')} heard by {model.name}")
    if hidden:
        click.echo(f"It comes before the shipped {name}, until memory remove {name}")


@command.command("list")
@config_options
def list_(config_path: str | None, overrides: Sequence[str]) -> None:
    """List the memories: of which model, and what they have heard.

    Example: rwkv-music-daemon memory list
    """
    memories = _memories(load_config(config_path, overrides))
    for name in memories.names():
        path = memories.find(name)
        if path is not None:
            click.echo(f"{name}: {_described(path)}")
    for file in memories.misnamed():
        click.echo(f"not listed: {file}: name it with {NAMES}")
    click.echo(f"Yours are kept in {memories.folder}: memory make and ctl memory/save make them")


@command.command()
@click.argument("name")
@config_options
def remove(name: str, config_path: str | None, overrides: Sequence[str]) -> None:
    """Remove a memory of your own.

    Example: rwkv-music-daemon memory remove waltz
    """
    memories = _memories(load_config(config_path, overrides))
    path = _own_path(memories, name)
    if not path.is_file():
        if memories.find(name) is not None:
            raise ConfigError(f"{name}: comes with the embedded model; only your own are removed")
        yours = ", ".join(memories.own_names()) or "none"
        raise ConfigError(f"no memory {name!r}; yours are: {yours}")
    path.unlink()
    click.echo(f"{path}: removed")
    if memories.find(name) is not None:
        click.echo(f"{name} is the shipped one again")


def _memories(config: Config) -> Memories:
    return Memories(config.service.data_path / MEMORIES, shipped_memories())


def _own_path(memories: Memories, name: str) -> Path:
    """Where one's own of that name is kept. Raises ConfigError."""
    try:
        return memories.path(name)
    except OscError as error:
        raise ConfigError(str(error)) from error


def _heard(path: Path, bars: int | None) -> Phrase:
    """What the model is to hear of a file. Raises MidiFileError when that is nothing."""
    reading = read_isolated(path, ReadOptions(skip_odd_meters=True))
    phrase = reading.phrase[:bars]
    if not any(bar.notes for bar in phrase):
        told = reading.report.dropped()
        raise MidiFileError(f"{path}: no notes to hear" + (told and f"; it has {told}"))
    return phrase


def _described(path: Path) -> str:
    try:
        metadata = TensorFile(path).metadata
        facts = json.loads(metadata.get("facts", "{}"))
    except (CheckpointError, ValueError) as error:
        return f"cannot be read: {error}"
    if "about" in facts:
        return f"by {metadata.get('model', 'an unknown model')}, {facts['about']}"
    heard = f", {counted(facts['bars'], 'bar')}" if "bars" in facts else ""
    files = f" of {', '.join(facts['files'])}" if "files" in facts else ""
    return f"by {metadata.get('model', 'an unknown model')}{heard}{files}"
