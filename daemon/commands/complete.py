"""`complete`: continue a MIDI file."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import click

from rwkv_music.completion import FileCompletion, check_output, complete_file, with_ringing_bars
from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import Reading, ReadOptions
from rwkv_music.midi_isolated import read_isolated
from rwkv_music.model import load_model
from rwkv_music.sampling import Sampling

from ..beginning import load_start
from ..config import Config, load_config
from ..parameters import PARAMETERS, Generation
from .options import Command, config_options, counted

_DRAWN_BARS = 12  # of the input, before the continuation


def _parameter_option(name: str) -> Command:
    """An option for a parameter of the table; its default is the configuration's."""
    parameter = PARAMETERS[name]
    kind = int if parameter.type == "i" else float
    return click.option(
        "--" + name.replace("_", "-"),
        name,
        type=kind,
        metavar="N" if kind is int else "X",
        help=f"{parameter.help} [{parameter.minimum:g} to {parameter.maximum:g}]",
    )


@click.command()
@click.argument("in_path", metavar="IN.mid", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "out_path",
    metavar="OUT.mid",
    type=click.Path(path_type=Path),
    help="Where the result goes; by default IN-continued.mid beside the input.",
)
@_parameter_option("bars")
@_parameter_option("temperature")
@_parameter_option("top_p")
@_parameter_option("top_k")
@_parameter_option("seed")
@click.option(
    "--context-bars",
    type=click.IntRange(1),
    metavar="N",
    help="Hear only so many of the last bars; by default all of the file.",
)
@click.option("--model", "model_path", metavar="PATH", help="Weights; by default as configured.")
@click.option(
    "--png",
    "png_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also draw the end of the input and the continuation.",
)
@click.option("--force", is_flag=True, help="Replace files that are there already.")
@config_options
def command(
    in_path: Path,
    out_path: Path | None,
    context_bars: int | None,
    model_path: str | None,
    png_path: Path | None,
    force: bool,
    config_path: str | None,
    overrides: Sequence[str],
    **given: float | None,
) -> None:
    """Continue a MIDI file: a copy of it with a track more, from its next bar line on.

    Tempo map, tracks and ticks of the input stay as they are, and the input is never written to.
    Other parameters are set as in the configuration: --set generation.key=auto. It begins from the
    memory that is configured: --set model.memory=pop.

    Example: rwkv-music-daemon complete song.mid -o longer.mid --bars 8 --temperature 1.0 --seed 7
    """
    config = _configured(config_path, overrides, model_path, given)
    out_path = out_path or in_path.with_name(f"{in_path.stem}-continued.mid")
    if png_path is not None and png_path.absolute() == out_path.absolute():
        raise click.UsageError("--png and --output name the same file")
    for path in filter(None, (out_path, png_path)):
        check_output(in_path, path)
        if path.exists() and not force:
            raise MidiFileError(f"{path}: is there already; --force replaces it, -o names another")
    reading = read_isolated(in_path, ReadOptions(skip_odd_meters=True))
    _tell_what_was_dropped(in_path, reading)
    generation = config.generation
    seed = secrets.randbelow(2**31) if generation.seed < 0 else generation.seed
    model = load_model(config.model.path, config.model.engine)
    start = load_start(config, model)
    there = len(with_ringing_bars(reading.phrase))
    steps = min(there, context_bars or there) + generation.bars
    with click.progressbar(
        length=steps, label="bars", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        done = complete_file(
            model,
            in_path,
            out_path,
            generation.bars,
            Sampling(**{f.name: getattr(generation, f.name) for f in fields(Sampling)}),
            seed,
            start=start,
            context_bars=context_bars,
            reading=reading,
            progress=lambda: bar.update(1),
        )
    bars = counted(len(done.continuation), "bar")
    notes = counted(sum(len(bar.notes) for bar in done.continuation), "note")
    click.echo(
        f"{out_path}: {bars} with {notes} after bar {len(done.heard)}, seed {seed}, model"
        f" {model.name}"
    )
    if png_path is not None:
        _draw(done, in_path, png_path)


def _configured(
    config_path: str | None,
    overrides: Sequence[str],
    model_path: str | None,
    given: dict[str, float | None],
) -> Config:
    """The configuration with the command's own options on top. Raises ConfigError."""
    config = load_config(config_path, overrides)
    generation: Generation = config.generation
    for name, value in given.items():
        if value is not None:
            generation = generation.with_value(name, value)
    model = config.model  # another one has no use for a memory of that
    if model_path is not None:
        model = replace(model, path=model_path, memory="")
    return replace(config, generation=generation, model=model)


def _tell_what_was_dropped(in_path: Path, reading: Reading) -> None:
    told = reading.report.dropped()
    if not reading.report.notes:
        raise MidiFileError(f"{in_path}: no notes to continue" + (told and f"; it has {told}"))
    if told:
        click.echo(f"not heard by the model (they stay in the file): {told}", err=True)


def _draw(done: FileCompletion, in_path: Path, png_path: Path) -> None:
    from rwkv_music.pianoroll import draw_piano_roll

    first = max(len(done.heard) - _DRAWN_BARS, 0)
    heard = done.heard[first:]
    silent = tuple(replace(bar, notes=()) for bar in heard)
    voices = {in_path.name: heard, "RWKV Music": silent + done.continuation}
    draw_piano_roll(voices, png_path, title=in_path.stem, first_number=first + 1)
    click.echo(png_path)
