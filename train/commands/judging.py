"""`eval`, `copying`, `sampling`, `card`: a model is judged, in tables of Markdown; `memories`: it
gets those."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..report import Table

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)
_some = click.IntRange(min=1)
_any = click.IntRange(min=0)
_data = click.option("--data", type=_folder, required=True, help="What train prepare wrote.")
_against = click.option("--against", type=_file, multiple=True, help="Another model (repeatable).")


@click.command(name="eval")
@click.argument("model", type=_file)
@_data
@_against
@click.option("--length", type=_some, default=1024, show_default=True, help="Tokens a window.")
@click.option(
    "--context-bars", type=_any, default=4, show_default=True, help="Bars before the targets."
)
@click.option("--windows", type=_any, default=0, help="How many, spread evenly; 0 takes them all.")
@click.option("--ngram", type=_any, default=5, show_default=True, help="Order; 0: no baselines.")
@click.option(
    "--passages", type=_any, default=96, show_default=True, help="Told after 2 to 64 bars; 0: none."
)
@click.option(
    "--strung", type=_any, default=100_352, show_default=True, help="Tokens of a state; 0: none."
)
@click.option(
    "--completions", type=_any, default=240, show_default=True, help="To compare; 0: none."
)
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
) -> None:
    """Judge MODEL on the validation split.

    MODEL is a run's checkpoint, or weights.

    Nats a sampled token and bits a note, beside an n-gram and the last bar again, by set, meter and
    kind of token; after 2 to 64 bars of context, clean and played imprecisely; in a state that has
    heard pieces strung together; and how like the true continuations its own are.

    Example: train eval run/checkpoint.safetensors --data prepared --against other.safetensors
    """
    from .. import card
    from ..weights import playable_weights

    effort = card.Effort(
        windows, length, context_bars, ngram, passages, strung, completions=completions
    )
    weights = playable_weights(model)
    _show(card.losses(weights, data, effort, against))
    _show(card.completions(weights, data, effort))


@click.command()
@click.argument("model", type=_file)
@_data
@click.option(
    "--completions", type=_some, default=240, show_default=True, help="Of 16 bars after 16 bars."
)
def copying(model: Path, data: Path, completions: int) -> None:
    """Tell how much of what MODEL plays it was trained on.

    Counted is what stands note for note in the training data, in any key, beside what real pieces
    of the validation split share with it.

    Example: train copying model.safetensors --data prepared
    """
    from .. import card
    from ..weights import playable_weights

    _show([card.copying(playable_weights(model), data, completions)])


def _numbers(context: click.Context, parameter: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"expected numbers with commas between, got {text!r}") from None


@click.command()
@click.argument("model", type=_file)
@_data
@click.option(
    "--temperatures",
    default="0.9,0.95,1,1.05",
    show_default=True,
    callback=_numbers,
    help="To compare, with commas between.",
)
@click.option(
    "--top-ps",
    default="0.95,0.98,1",
    show_default=True,
    callback=_numbers,
    help="To compare with each of them, with commas between.",
)
@click.option("--completions", type=_some, default=240, show_default=True, help="For each of them.")
def sampling(
    model: Path,
    data: Path,
    temperatures: tuple[float, ...],
    top_ps: tuple[float, ...],
    completions: int,
) -> None:
    """Find the temperature and top-p that suit MODEL.

    They are those with which what it plays is most like what composers wrote, of those with which
    it repeats its training data no more than they do.

    Example: train sampling model.safetensors --data prepared --temperatures 0.9,1 --top-ps 0.95,1
    """
    from .. import card
    from ..weights import playable_weights

    effort = card.Effort(drawn=completions, temperatures=temperatures, top_ps=top_ps)
    say = partial(click.echo, err=True)
    _show([card.sampling(playable_weights(model), data, effort, say)])


@click.command(name="card")
@click.argument("model", type=_file)
@_data
@_against
@click.option("-o", "--out", type=_file, required=True, help="The page.")
@click.option("--only", default="", help="Some of the sections, with commas between.")
@click.option(
    "--windows", type=_any, default=400, show_default=True, help="For the losses; 0: all of them."
)
def card_(
    model: Path, data: Path, against: tuple[Path, ...], out: Path, only: str, windows: int
) -> None:
    """Measure MODEL and put all figures into a page of Markdown.

    Each section stands between marks, <!-- losses --> and <!-- end of losses -->; what stood there
    before is replaced, all other words are left alone. Sections: facts, losses, completions,
    copying, sampling.

    Example: train card model.safetensors --data prepared -o card.md
    """
    from .. import card
    from ..weights import playable_weights

    sections = only.split(",") if only else card.SECTIONS
    for name in sections:
        if name not in card.SECTIONS:
            raise click.BadParameter(
                f"--only: got {name!r}, expected some of {', '.join(card.SECTIONS)}"
            )
    card.write_card(
        out,
        playable_weights(model),
        data,
        card.Effort(windows=windows),
        against=against,
        sections=sections,
        say=lambda section: click.echo(f"{section} ..."),
    )
    click.echo(f"{out}")


@click.command()
@click.argument("model", type=_file)
@_data
@click.option("-o", "--out", type=_folder, required=True, help="Folder of the memories.")
@click.option("--card", type=_file, help="A page whose section `memories` gets the figures.")
def memories(model: Path, data: Path, out: Path, card: Path | None) -> None:
    """Make the memories that come with MODEL.

    They are pop, classical and song, as far as DATA have such sets.

    A memory fits one model: make them again when the model has changed. The daemon begins in one
    with model.memory in its configuration, or on `ctl memory/load pop`.

    Example: train memories model.safetensors --data prepared -o memories
    """
    from ..report import put_into, text_of
    from ..styles import make_memories
    from ..weights import playable_weights

    tables = make_memories(playable_weights(model), data, out, say=click.echo)
    _show(tables)
    if card is not None and tables:
        put_into(card, "memories", text_of(tables))


def _show(tables: Sequence[Table]) -> None:
    from ..report import text_of

    if tables:
        click.echo(text_of(tables) + "\n")


COMMANDS = (evaluate, copying, sampling, memories, card_)
