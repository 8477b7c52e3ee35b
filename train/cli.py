"""`train` (and `rwkv-music-train`): from a folder of MIDI files to a model that plays."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rwkv_music import __version__
from rwkv_music.errors import RwkvMusicError

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="train")
def cli() -> None:
    """Train a model that completes music.

    Example: train prepare MIDIS -o prepared && train run --set data.folder=prepared
    """


@cli.command()
@click.argument("folder", type=_folder)
@click.option("-o", "--out", type=_folder, required=True, help="Where the token files go.")
@click.option(
    "--manifest",
    type=_file,
    help="CSV with the columns path, and if you like split (train, valid) and set."
    " FOLDER/manifest.csv is taken if it is there.",
)
@click.option("--valid-share", default=0.05, show_default=True, help="Where no split is given.")
@click.option("--leave-out", multiple=True, help="Tracks of this name are not read (repeatable).")
@click.option("--workers", type=int, help="Processes that read files; one a core by default.")
def prepare(
    folder: Path,
    out: Path,
    manifest: Path | None,
    valid_share: float,
    leave_out: tuple[str, ...],
    workers: int | None,
) -> None:
    """Turn the MIDI files in FOLDER into token files.

    Files that cannot be used are listed, with the reason, in OUT/refused.csv.

    Example: train prepare ~/midi -o prepared
    """
    from .prepare import prepare as run

    done = run(
        folder,
        out,
        manifest=manifest,
        valid_share=valid_share,
        leave_out_tracks=leave_out,
        workers=workers,
    )
    for split, pieces in done.pieces.items():
        click.echo(f"{split}: {pieces} pieces, {done.tokens[split]} tokens")
    if done.refused:
        click.echo(f"refused: {len(done.refused)} files, see {out / 'refused.csv'}")


@cli.command()
@click.option("-c", "--config", type=_file, help="YAML file; defaults where it says nothing.")
@click.option("--set", "overrides", multiple=True, help="NAME=VALUE, as model.width=192.")
def run(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Train, or go on training: a run that was stopped continues where it was.

    SIGTERM and Ctrl-C save and exit.

    Example: train run -c starter.yaml --set run.folder=runs/first
    """
    from .config import read_config
    from .loop import Trainer
    from .progress import ProgressLine

    settings = read_config(config, overrides)
    trainer = Trainer(settings)
    with ProgressLine(trainer.progress.step, settings.run.steps) as line:
        finished = trainer.run(line.show)
    where = trainer.checkpoint
    if finished:
        click.echo(f"done; make it playable with: train export {where} -o model.safetensors")
    else:
        click.echo(f"stopped and saved in {where}; the same command goes on from there")


@cli.command(name="eval")
@click.argument("model", type=_file)
@click.option("--data", type=_folder, required=True, help="What train prepare wrote.")
@click.option("--length", default=1024, show_default=True, help="Tokens a window.")
@click.option("--context-bars", default=4, show_default=True, help="Bars before the targets.")
@click.option("--windows", default=0, help="How many, spread evenly; 0 takes them all.")
@click.option("--ngram", default=3, show_default=True, help="Order of the baseline; 0: none.")
def evaluate(
    model: Path, data: Path, length: int, context_bars: int, windows: int, ngram: int
) -> None:
    """Validation loss of MODEL (a run's checkpoint or exported weights), in nats a sampled token.

    Example: train eval run/checkpoint.safetensors --data prepared
    """
    from .evaluate import compare

    for name, (nats, targets) in compare(model, data, length, context_bars, windows, ngram).items():
        click.echo(f"{name:12} {nats:.4f} nats a target ({targets} targets)")


@cli.command()
@click.argument("model", type=_file)
@click.option("--data", type=_folder, required=True, help="What train prepare wrote.")
@click.option("--completions", default=60, show_default=True, help="Of 8 bars after 8 bars.")
def copying(model: Path, data: Path, completions: int) -> None:
    """How much of what MODEL (exported weights) plays stands note for note in its training data,
    in any key, beside what real pieces of the validation split share with it.

    Example: train copying model.safetensors --data prepared
    """
    from rich.progress import Progress

    from .copying import measure_copying

    with Progress(transient=True) as bar:
        task = bar.add_task("playing", total=completions)
        shares = measure_copying(
            model, data, completions=completions, progress=lambda: bar.advance(task)
        )
    for length, (made, true) in shares.items():
        click.echo(f"runs of {length} notes: {made:.2%} of the model's, {true:.2%} of real ones")


@cli.command()
@click.argument("checkpoint", type=_file)
@click.option("-o", "--out", type=_file, required=True, help="The daemon's model file.")
@click.option("--note", multiple=True, help="KEY=TEXT for the training facts (repeatable).")
def export(checkpoint: Path, out: Path, note: tuple[str, ...]) -> None:
    """Write a run's weights as the daemon loads them (safetensors, bfloat16).

    Example: train export run/checkpoint.safetensors -o my.safetensors --note data="my own pieces"
    """
    from .checkpoint import export_weights, load_run, training_facts

    stored = load_run(checkpoint)
    facts = training_facts(stored) | dict(item.partition("=")[::2] for item in note)
    export_weights(out, stored.model(), facts)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


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
