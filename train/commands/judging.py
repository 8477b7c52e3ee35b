"""`eval`, `copying` and `sampling`: a model is judged. Each prints its tables, and with --card puts
them into a page as well, in the place of those that it put there before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..report import Table

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)
_data = click.option("--data", type=_folder, required=True, help="What train prepare wrote.")
_card = click.option("--card", type=_file, help="Put the tables into this page of Markdown, too.")


@click.command(name="eval")
@click.argument("model", type=_file)
@_data
@click.option("--against", type=_file, multiple=True, help="Another model (repeatable).")
@click.option("--length", default=1024, show_default=True, help="Tokens a window.")
@click.option("--context-bars", default=4, show_default=True, help="Bars before the targets.")
@click.option("--windows", default=0, help="How many, spread evenly; 0 takes them all.")
@click.option("--ngram", default=5, show_default=True, help="Order; 0: no baselines.")
@click.option("--passages", default=96, show_default=True, help="Told after 2 to 64 bars; 0: none.")
@click.option("--strung", default=100_352, show_default=True, help="Tokens of a state; 0: none.")
@click.option("--completions", default=60, show_default=True, help="To compare; 0: none.")
@_card
def evaluate(
    model: Path,
    data: Path,
    against: tuple[Path, ...],
    length: int,
    context_bars: int,
    windows: int,
    ngram: int,
    passages: int,
    strung: int,
    completions: int,
    card: Path | None,
) -> None:
    """Judge MODEL (a run's checkpoint or weights) on the validation split.

    Nats a sampled token and bits a note, beside an n-gram and the last bar again, by set, meter and
    kind of token; after 2 to 64 bars of context, clean and played imprecisely; in a state that has
    heard pieces strung together; and how like the true continuations its own are.

    Example: train eval run/checkpoint.safetensors --data prepared --against other.safetensors
    """
    from rich.progress import Progress

    from rwkv_music.tokenizer import load_vocabulary

    from .. import judge
    from ..completions import player_of
    from ..evaluate import Network
    from ..pieces import read_split
    from ..weights import load_model, weights_of

    vocabulary = load_vocabulary()
    loaded = load_model(model)
    pieces = read_split(data, "valid", vocabulary)
    tellers = {"the model": Network(loaded, vocabulary)}
    tellers |= judge.baselines(data, vocabulary, ngram)
    tellers |= {path.stem: Network(load_model(path), vocabulary) for path in against}
    tables = judge.loss_tables(tellers, pieces, vocabulary, length, context_bars, windows)
    if passages:
        tables += judge.context_tables(tellers, pieces, vocabulary, passages)
    if strung:
        tables.append(judge.strung_table(loaded, pieces, vocabulary, strung))
    if completions:
        player = player_of(weights_of(loaded))
        with Progress(transient=True) as bar:
            task = bar.add_task("playing", total=completions * len(judge.COMPLETED_BARS))
            tables += judge.likeness_tables(player, pieces, completions, lambda: bar.advance(task))
    _show(tables, "train eval", card)


@click.command()
@click.argument("model", type=_file)
@_data
@click.option("--completions", default=60, show_default=True, help="Of 8 bars after 8 bars.")
@_card
def copying(model: Path, data: Path, completions: int, card: Path | None) -> None:
    """How much of what MODEL plays stands note for note in its training data, in any key, beside
    what real pieces of the validation split share with it.

    Example: train copying model.safetensors --data prepared
    """
    from rich.progress import Progress

    from ..completions import player_of
    from ..copying import measure_copying
    from ..report import Table
    from ..weights import load_model, weights_of

    player = player_of(weights_of(load_model(model)))
    with Progress(transient=True) as bar:
        task = bar.add_task("playing", total=completions)
        shares = measure_copying(
            player, data, completions=completions, progress=lambda: bar.advance(task)
        )
    about = (
        f"{completions} completions of 8 bars after 8: the share of their runs of notes that stand"
        " somewhere in the training data, in some key; and of the true continuations' runs."
    )
    rows = [
        (f"runs of {length} notes", f"{made:.2%}", f"{true:.2%}")
        for length, (made, true) in shares.items()
    ]
    _show([Table(about, ("", "model", "real pieces"), rows)], "train copying", card)


def _numbers(context: click.Context, parameter: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"expected numbers with commas between, got {text!r}") from None


@click.command()
@click.argument("model", type=_file)
@_data
@click.option(
    "--temperatures", default="0.85,0.9,0.95,1,1.05", show_default=True, callback=_numbers
)
@click.option("--top-ps", default="0.9,0.95,0.98,1", show_default=True, callback=_numbers)
@click.option("--completions", default=48, show_default=True, help="For each of them.")
@_card
def sampling(
    model: Path,
    data: Path,
    temperatures: tuple[float, ...],
    top_ps: tuple[float, ...],
    completions: int,
    card: Path | None,
) -> None:
    """With which temperature and top-p what MODEL plays is most like what composers wrote.

    Example: train sampling model.safetensors --data prepared --temperatures 0.9,1 --top-ps 0.95,1
    """
    from rich.progress import Progress

    from rwkv_music.sampling import Sampling
    from rwkv_music.tokenizer import load_vocabulary

    from ..completions import player_of
    from ..judge import sampling_table
    from ..pieces import read_split
    from ..weights import load_model, weights_of

    player = player_of(weights_of(load_model(model)))
    pieces = read_split(data, "valid", load_vocabulary())
    settings = [Sampling(temperature=t, top_p=p) for t in temperatures for p in top_ps]
    with Progress(transient=True) as bar:
        task = bar.add_task("playing", total=len(settings))
        table = sampling_table(player, pieces, completions, settings, lambda: bar.advance(task))
    _show([table], "train sampling", card)


def _show(tables: Sequence[Table], section: str, card: Path | None) -> None:
    from ..report import put_into, text_of

    text = text_of(tables)
    click.echo(text)
    if card is not None:
        put_into(card, section, text)
        click.echo(f"\n{card}: the section {section!r} is new", err=True)


COMMANDS = (evaluate, copying, sampling)
