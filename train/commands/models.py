"""What is done with a model: it is judged, heard, exported, imported, made one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rwkv_music.model.weights import Weights

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)
_place = click.Path(path_type=Path, exists=True)


@click.command(name="eval")
@click.argument("model", type=_file)
@click.option("--data", type=_folder, required=True, help="What train prepare wrote.")
@click.option("--length", default=1024, show_default=True, help="Tokens a window.")
@click.option("--context-bars", default=4, show_default=True, help="Bars before the targets.")
@click.option("--windows", default=0, help="How many, spread evenly; 0 takes them all.")
@click.option("--ngram", default=3, show_default=True, help="Order of the baseline; 0: none.")
@click.option("--completions", default=0, show_default=True, help="To compare with the truth.")
def evaluate(
    model: Path,
    data: Path,
    length: int,
    context_bars: int,
    windows: int,
    ngram: int,
    completions: int,
) -> None:
    """Validation loss of MODEL (a run's checkpoint or weights), in nats a sampled token and bits a
    note; with --completions, how like the true continuations its own are.

    Example: train eval run/checkpoint.safetensors --data prepared --completions 40
    """
    from ..evaluate import compare
    from ..weights import load_model

    loaded = load_model(model)
    losses = compare(loaded, data, length, context_bars, windows, ngram)
    for name, loss in losses.items():
        click.echo(
            f"{name:12} {loss.nats:.4f} nats a target, {loss.bits_a_note:.2f} bits a note"
            f" ({loss.targets} targets, {loss.notes} notes)"
        )
    if not completions:
        return
    from rich.progress import track

    from rwkv_music.tokenizer import load_vocabulary

    from ..completions import complete_pieces, player_of
    from ..likeness import likeness
    from ..pieces import read_split
    from ..weights import weights_of

    player = player_of(weights_of(loaded))
    pieces = read_split(data, "valid", load_vocabulary())
    made = complete_pieces(player, pieces, completions)
    alike = likeness(list(track(made, "playing", total=completions, transient=True)))
    click.echo(f"{completions} completions of 8 bars after 8 bars, beside what was written:")
    rows = (
        ("notes a beat", alike.density, "true"),
        ("bars that repeat one", alike.repetition, "true"),
        ("pitch classes in common", alike.pitch_classes, "the context's"),
        ("onsets in common", alike.onsets, "the context's"),
    )
    for name, (ours, other), against in rows:
        click.echo(f"{name:24} {ours:.3f}   {against}: {other:.3f}")


@click.command()
@click.argument("model", type=_file)
@click.option("--data", type=_folder, required=True, help="What train prepare wrote.")
@click.option("--completions", default=60, show_default=True, help="Of 8 bars after 8 bars.")
def copying(model: Path, data: Path, completions: int) -> None:
    """How much of what MODEL plays stands note for note in its training data, in any key, beside
    what real pieces of the validation split share with it.

    Example: train copying model.safetensors --data prepared
    """
    from rich.progress import Progress

    from ..completions import player_of
    from ..copying import measure_copying
    from ..weights import load_model, weights_of

    player = player_of(weights_of(load_model(model)))
    with Progress(transient=True) as bar:
        task = bar.add_task("playing", total=completions)
        shares = measure_copying(
            player, data, completions=completions, progress=lambda: bar.advance(task)
        )
    for length, (made, true) in shares.items():
        click.echo(f"runs of {length} notes: {made:.2%} of the model's, {true:.2%} of real ones")


@click.command()
@click.argument("model", type=_file)
@click.option("-o", "--out", type=_folder, required=True, help="Folder of the MIDI files.")
@click.option("--data", type=_folder, help="Continue pieces of this prepared data ...")
@click.option("--midi", type=_file, help="... or the last bars of this MIDI file.")
@click.option("--count", default=4, show_default=True)
@click.option("--context-bars", default=8, show_default=True)
@click.option("--bars", default=8, show_default=True, help="Of each continuation.")
@click.option("--temperature", default=0.95, show_default=True)
@click.option("--top-p", default=0.95, show_default=True)
@click.option("--seed", default=0, show_default=True)
def sample(
    model: Path,
    out: Path,
    data: Path | None,
    midi: Path | None,
    count: int,
    context_bars: int,
    bars: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> None:
    """Let MODEL (a run's checkpoint or weights) play: MIDI files and piano rolls, the true
    continuation beside them where it is known.

    Example: train sample run/checkpoint.safetensors --data prepared -o samples
    """
    from rich.progress import track

    from rwkv_music.midi_isolated import read_isolated
    from rwkv_music.sampling import Sampling
    from rwkv_music.tokenizer import load_vocabulary

    from ..completions import complete_phrase, complete_pieces, player_of, write_completion
    from ..pieces import read_split
    from ..weights import load_model, weights_of

    if (data is None) == (midi is None):
        raise click.UsageError("choose what to continue: --data FOLDER, or --midi FILE")
    player = player_of(weights_of(load_model(model)))
    sampling = Sampling(temperature=temperature, top_p=top_p)
    if data is not None:
        pieces = read_split(data, "valid", load_vocabulary())
        made = complete_pieces(
            player,
            pieces,
            count,
            context_bars=context_bars,
            bars=bars,
            sampling=sampling,
            seed=seed,
        )
    else:
        heard = read_isolated(str(midi)).phrase[-context_bars:]
        made = complete_phrase(player, str(midi), heard, bars, count, sampling, seed)
    for number, completion in enumerate(track(made, "playing", total=count, transient=True)):
        for path in write_completion(completion, out, f"{number:02d}"):
            click.echo(str(path))


@click.command()
@click.argument("model", type=_file)
@click.option("-o", "--out", type=_file, required=True, help="The daemon's model file.")
@click.option("--float32", is_flag=True, help="Twice the size, the numbers as they were trained.")
@click.option("--note", multiple=True, help="KEY=TEXT for the training facts (repeatable).")
def export(model: Path, out: Path, float32: bool, note: tuple[str, ...]) -> None:
    """Write a run's weights as the daemon loads them (safetensors, bfloat16).

    Example: train export run/checkpoint.safetensors -o my.safetensors --note data="my own pieces"
    """
    from ..checkpoint import load_run, training_facts
    from ..weights import export_weights

    stored = load_run(model)
    facts = training_facts(stored) | dict(item.partition("=")[::2] for item in note)
    export_weights(out, stored.model(), facts, bfloat16=not float32)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@click.command(name="import")
@click.argument("weights", type=_file)
@click.option("-o", "--out", type=_file, required=True, help="Weights to start a run from.")
@click.option("--new-tokens", is_flag=True, help="Keep the layers; embedding and head begin anew.")
def import_(weights: Path, out: Path, new_tokens: bool) -> None:
    """Turn official RWKV-7 weights (.pth) into weights that a run can start from.

    No code in the file is run. Where it was trained on other tokens, as text models are,
    --new-tokens keeps what lies between embedding and head.

    Example: train import RWKV-x070.pth -o start.safetensors --new-tokens
    """
    from ..weights import import_weights

    config = import_weights(weights, out, new_tokens=new_tokens)
    click.echo(
        f"{out}: {config.layers} layers, width {config.width}; start with --set model.start={out}"
    )


@click.command()
@click.argument("midi", type=_place, nargs=-1, required=True)
@click.option("-o", "--out", type=_file, required=True, help="The memory that the daemon loads.")
@click.option("-m", "--model", type=_file, help="The model; without it, the shipped one.")
@click.option(
    "--steps", default=60, show_default=True, type=click.IntRange(1), help="More for more pieces."
)
@click.option("--rate", default=0.05, show_default=True, help="Lower where the loss jumps.")
def personalize(
    midi: tuple[Path, ...], out: Path, model: Path | None, steps: int, rate: float
) -> None:
    """Tune an initial state on a handful of pieces; the model stays as it is.

    MIDI are files, or folders of them. The daemon loads OUT as a memory, with the same model. Of
    three pieces or more each is kept aside once, to see how much the others help with it: that
    says when enough is learnt. Where they do not help, nothing is written.

    Example: train personalize my-pieces/*.mid -o ~/.local/share/rwkv-music/memories/me.safetensors
    """
    from rich.progress import Progress, TextColumn

    from ..personalize import TuneOptions, most_steps, tune_state, write_memory
    from ..prepare import PrepareOptions, read_all

    weights = _playable(model)
    pieces, refused = read_all(midi, PrepareOptions())
    for path, reason in refused.items():
        click.echo(f"refused: {path}: {reason}", err=True)
    with Progress(*Progress.get_default_columns(), TextColumn("loss {task.fields[loss]:.3f}")) as b:
        options = TuneOptions(steps=steps, rate=rate)
        total = most_steps(len(pieces), options)
        task = b.add_task("tuning", total=total, loss=float("nan"))
        tuned = tune_state(
            weights, pieces, options, lambda loss: b.update(task, advance=1, loss=loss)
        )
        b.update(task, completed=total)
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "made_by": "train personalize",
        "pieces": len(pieces),
        "steps": tuned.steps,
        "rate": rate,
        "gains": list(tuned.gains),
    }
    write_memory(out, weights, tuned.states, facts)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB, from {len(pieces)} pieces")
    if tuned.gains:
        better = sum(gain > 0 for gain in tuned.gains)
        click.echo(
            f"what was kept aside was told better in {better} of {len(tuned.gains)} cases, by"
            f" {tuned.gain:.4f} nats a token on the average, after {tuned.steps} steps"
        )
    else:
        click.echo("too few pieces to see whether they help each other; three will do")
    click.echo(f"in the folder of memories, it is loaded by: ctl memory/load {out.stem}")


def _playable(model: Path | None) -> Weights:
    """The weights as the daemon loads them: its memories name them."""
    from importlib import resources

    from rwkv_music.model.weights import load_weights

    from ..weights import check_trainable

    if model is not None:
        check_trainable(model)
        return load_weights(model)
    with resources.as_file(resources.files("rwkv_music") / "data" / "starter.safetensors") as file:
        return load_weights(file)


COMMANDS = (evaluate, copying, sample, export, import_, personalize)
