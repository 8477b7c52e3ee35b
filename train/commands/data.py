"""`prepare` and `dump`: MIDI files to token files, and those to what other programs read."""

from __future__ import annotations

from pathlib import Path

import click

_place = click.Path(path_type=Path, exists=True)
_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("places", type=_place, nargs=-1, required=True)
@click.option("-o", "--out", type=_folder, required=True, help="Where the token files go.")
@click.option(
    "--manifest",
    type=_file,
    help="CSV with the columns path, and if you like split (train, valid) and set."
    " FOLDER/manifest.csv is taken if it is there.",
)
@click.option(
    "--valid-share",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="How much is kept for validation, where no split is given.",
)
@click.option("--leave-out", multiple=True, help="Tracks of this name are not read (repeatable).")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that read files; one a core by default.",
)
def prepare(
    places: tuple[Path, ...],
    out: Path,
    manifest: Path | None,
    valid_share: float,
    leave_out: tuple[str, ...],
    workers: int | None,
) -> None:
    """Turn MIDI files into token files.

    PLACES are folders, MIDI files, or lists of them (.txt, a path a line). Files that cannot be
    used are listed, with the reason, in OUT/refused.csv. Started again after it was stopped, it
    goes on; started again with the same files, it has nothing to do.

    Example: train prepare ~/midi -o prepared
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..prepare import PrepareOptions, prepare

    options = PrepareOptions(valid_share, frozenset(leave_out))
    columns = ("reading", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("reading")
        done = prepare(
            places,
            out,
            options,
            manifest=manifest,
            workers=workers,
            progress=lambda count, total: bar.update(task, completed=count, total=total),
        )
    for split, pieces in done.pieces.items():
        click.echo(f"{split}: {pieces} pieces, {done.tokens[split]} tokens")
    if done.reused:
        click.echo(f"from an earlier run: {done.reused} files")
    if done.doubles:
        where = f", {done.moved} of them moved to the split of the first" if done.moved else ""
        click.echo(f"the same notes as another piece: {done.doubles} pieces{where}")
    if done.refused:
        click.echo(f"refused: {len(done.refused)} files, see {out / 'refused.csv'}")


@click.command()
@click.argument("data", type=_folder)
@click.option(
    "--split",
    type=click.Choice(("train", "valid")),
    default="train",
    show_default=True,
    help="Which of its pieces.",
)
@click.option("--jsonl", type=_file, help="A file: a line of JSON a piece.")
@click.option("--miditok", type=_folder, help="A folder: miditok's token files and its tokenizer.")
def dump(data: Path, split: str, jsonl: Path | None, miditok: Path | None) -> None:
    """Write prepared pieces for other programs.

    DATA is a folder that `train prepare` made.

    Example: train dump prepared --split valid --jsonl valid.jsonl
    """
    from rwkv_music.tokenizer import load_vocabulary

    from ..dump import write_json_lines, write_miditok
    from ..pieces import read_split

    if jsonl is None and miditok is None:
        raise click.UsageError("choose --jsonl FILE, --miditok FOLDER, or both")
    vocabulary = load_vocabulary()
    pieces = read_split(data, split, vocabulary)
    if jsonl is not None:
        click.echo(f"{jsonl}: {write_json_lines(pieces, jsonl, vocabulary)} pieces")
    if miditok is not None:
        click.echo(f"{miditok}: {write_miditok(pieces, miditok)} pieces")


COMMANDS = (prepare, dump)
