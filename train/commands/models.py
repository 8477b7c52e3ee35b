"""What is done with a model: it is heard, exported, imported, made one's own."""

from __future__ import annotations

from pathlib import Path

import click

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)
_place = click.Path(path_type=Path, exists=True)
_some = click.IntRange(min=1)


@click.command()
@click.argument("model", type=_file)
@click.option("-o", "--out", type=_folder, required=True, help="Folder of the MIDI files.")
@click.option("--data", type=_folder, help="Continue pieces of this prepared data ...")
@click.option("--midi", type=_file, help="... or the last bars of this MIDI file.")
@click.option("--count", type=_some, default=4, show_default=True, help="How many.")
@click.option("--context-bars", type=_some, default=8, show_default=True, help="Bars heard before.")
@click.option("--bars", type=_some, default=8, show_default=True, help="Of each continuation.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    default=1.0,
    show_default=True,
    help="Boldness; 0 takes the likeliest note every time.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(0.05, 1),
    default=0.98,
    show_default=True,
    help="Draw from the likeliest that make up this share; loudness is not cut.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed plays the same.")
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
    """Let MODEL play: MIDI files and piano rolls.

    MODEL is a run's checkpoint, or weights. The true continuation stands beside its own where it is
    known.

    Example: train sample run/checkpoint.safetensors --data prepared -o samples
    """
    from rich.progress import track

    from rwkv_music.midi_isolated import read_isolated
    from rwkv_music.sampling import Sampling
    from rwkv_music.tokenizer import load_vocabulary

    from ..completions import complete_phrase, complete_pieces, player_of, write_completion
    from ..pieces import read_split
    from ..weights import playable_weights

    if (data is None) == (midi is None):
        raise click.UsageError("choose what to continue: --data FOLDER, or --midi FILE")
    player = player_of(playable_weights(model))
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
@click.option("--bits", type=click.Choice(("8", "4")), help="Quantised: a half, or a quarter.")
@click.option("--note", multiple=True, help="KEY=TEXT for the training facts (repeatable).")
def export(model: Path, out: Path, float32: bool, bits: str | None, note: tuple[str, ...]) -> None:
    """Write a run's weights as the daemon loads them.

    A safetensors file, in bfloat16 unless told otherwise. What is quantised plays, and can be
    trained no further.

    Example: train export run/checkpoint.safetensors -o my.safetensors --note data="my own pieces"
    """
    from ..checkpoint import load_run, training_facts
    from ..weights import export_weights

    if float32 and bits:
        raise click.UsageError("choose --float32 or --bits, not both")
    stored = load_run(model)
    facts = training_facts(stored) | dict(item.partition("=")[::2] for item in note)
    export_weights(
        out, stored.model(), facts, bfloat16=not float32, bits=int(bits) if bits else None
    )
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


@click.command(name="import")
@click.argument("weights", type=_file)
@click.option("-o", "--out", type=_file, required=True, help="Weights to start a run from.")
@click.option("--new-tokens", is_flag=True, help="Keep the layers; embedding and head begin anew.")
def import_(weights: Path, out: Path, new_tokens: bool) -> None:
    """Turn official RWKV-7 weights into what a run can start from.

    WEIGHTS is a .pth; no code in the file is run. Where it was trained on other tokens, as text
    models are, --new-tokens keeps what lies between embedding and head.

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
    "--steps",
    type=click.IntRange(min=0),
    default=12,
    show_default=True,
    help="Of tuning, at most; 0 leaves the state as it was heard.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=0.004,
    show_default=True,
    help="How far the state moves in the first step, as a share of its length.",
)
def personalize(
    midi: tuple[Path, ...], out: Path, model: Path | None, steps: int, rate: float
) -> None:
    """Learn an initial state from a handful of pieces.

    MIDI are files, or folders of them. The model stays as it is; the daemon loads OUT as a memory,
    with the same model. The state begins as what the pieces leave in it when they are heard, and is
    tuned on them. Of three pieces or more each is kept aside once, to see how much the others help
    with it: that says when enough is learnt. Where they do not help, nothing is written.

    Example: train personalize my-pieces/*.mid -o ~/.local/share/rwkv-music/memories/me.safetensors
    """
    from rich.progress import Progress, TextColumn

    from ..personalize import TuneOptions, most_steps, tune_state, write_memory
    from ..prepare import PrepareOptions, read_all
    from ..weights import playable_weights

    weights = playable_weights(model)
    pieces, refused = read_all(midi, PrepareOptions())
    for path, reason in refused.items():
        click.echo(f"refused: {path}: {reason}", err=True)
    with Progress(*Progress.get_default_columns(), TextColumn("loss {task.fields[loss]:.3f}")) as b:
        options = TuneOptions(steps=steps, rate=rate)
        total = most_steps(len(pieces), options)
        task = b.add_task("learning", total=total, loss=float("nan"))
        tuned = tune_state(
            weights, pieces, options, lambda loss: b.update(task, advance=1, loss=loss)
        )
        b.update(task, completed=total)
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "made_by": "train personalize",
        "pieces": len(pieces),
        "share": tuned.share,
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
            f" {tuned.gain:.4f} nats a token on the average, from {tuned.share:.0%} of the heard"
            f" state and {tuned.steps} steps of tuning"
        )
    else:
        click.echo("too few pieces to see whether they help each other; three will do")
    click.echo(f"in the folder of memories, it is loaded by: ctl memory/load {out.stem}")


COMMANDS = (sample, export, import_, personalize)
