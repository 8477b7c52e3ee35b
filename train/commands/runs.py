"""`run`, `model`, `estimate`, `doctor`: training, the whole way, what it will take and needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..doctor import Finding

_file = click.Path(path_type=Path, dir_okay=False)
_folder = click.Path(path_type=Path, file_okay=False)
_place = click.Path(path_type=Path, exists=True)
_config = click.option("-c", "--config", type=_file, help="YAML; defaults where it says nothing.")
_set = click.option("--set", "overrides", multiple=True, help="NAME=VALUE, as model.width=192.")
_MARKS = {"ok": "green", "absent": "yellow", "missing": "red"}


@click.command()
@_config
@_set
@click.option("--fast-dev-run", is_flag=True, help="Two steps of everything, kept nowhere.")
def run(config: Path | None, overrides: tuple[str, ...], fast_dev_run: bool) -> None:
    """Train, or go on with a run that was stopped.

    SIGTERM and Ctrl-C save and exit. Under torchrun, every process takes its share of each step.

    Example: train run -c starter.yaml --set run.folder=runs/first

    Example: torchrun --nproc-per-node 8 -m rwkv_music_train run -c large.yaml
    """
    from ..config import read_config

    settings = read_config(config, overrides)  # before PyTorch, which takes seconds to load
    from ..session import rehearse, train

    if fast_dev_run:
        rehearse(settings)
        click.echo("steps, validation, samples and a checkpoint: all of it works")
        return
    finished, where = train(settings)
    if where is None:
        return
    if finished:
        click.echo(f"done; make it playable with: train export {where} -o model.safetensors")
    else:
        click.echo(f"stopped and saved in {where}; the same command goes on from there")


@click.command()
@click.argument("places", type=_place, nargs=-1, required=True)
@click.option("-o", "--out", type=_folder, required=True, help="Everything goes below it.")
@click.option("-c", "--config", type=_file, help="A recipe; without it, that of the package.")
@_set
@click.option("--tiny", is_flag=True, help="A minute for all, to see that it works.")
@click.option("--valid-share", default=0.05, show_default=True, help="Where no split is given.")
@click.option("--workers", type=int, help="Processes that read files; one a core by default.")
def model(
    places: tuple[Path, ...],
    out: Path,
    config: Path | None,
    overrides: tuple[str, ...],
    tiny: bool,
    valid_share: float,
    workers: int | None,
) -> None:
    """Do it all: from MIDI files to a model that plays.

    The whole recipe, with the model's memories and its card.

    PLACES are what `train prepare` takes. Stopped at any time, the same command goes on; what is
    done is not done again.

    Example: train model ~/midi -o out/model
    """
    from ..prepare import PrepareOptions
    from ..recipe import follow, read_recipe

    settings = read_recipe(config, out, overrides, tiny=tiny)
    options = PrepareOptions(valid_share)
    if not follow(
        settings, places, out, tiny=tiny, options=options, workers=workers, say=click.echo
    ):
        raise SystemExit(1)


@click.command()
@_config
@_set
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True, help="GPUs, or ranks."
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="Of the matrix rate that is reached.",
)
@click.option("--measure", is_flag=True, help="Take two steps, and say what they took.")
def estimate(
    config: Path | None, overrides: tuple[str, ...], processes: int, share: float, measure: bool
) -> None:
    """What a run will take: parameters, memory, time.

    Memory is counted by running a few layers; time is the operations over the matrix rate of this
    machine, of which --share is reached. --measure needs the data, and tells how near that is.

    Example: train estimate --set model.size=0.4B --set run.batch=8 --set run.recompute=true
    """
    from ..config import read_config

    settings = read_config(config, overrides)
    from ..estimate import estimate as make
    from ..ranks import choose_device
    from ..session import measure_steps, shape_of

    device = choose_device(settings.run.device)
    shape = shape_of(settings.model)
    made = make(settings, shape, device, processes=processes, share_of_rate=share)
    click.echo(f"parameters         {made.parameters / 1e6:.1f} M")
    click.echo(f"weights            {_size(made.weights)}")
    click.echo(f"gradients          {_size(made.gradients)}")
    click.echo(f"optimiser          {_size(made.optimiser)}")
    click.echo(f"kept for backward  {_size(made.kept)}")
    click.echo(f"in passing         {_size(made.passing)}")
    click.echo(f"memory             {_size(made.memory)}, each process")
    click.echo(f"operations a step  {made.operations / 1e12:.3f} T, each process")
    click.echo(f"matrix rate here   {made.rate / 1e12:.3f} T/s ({device.type})")
    click.echo(f"a step             {made.step_s:.3f} s at {share:.0%} of it")
    click.echo(f"the run            {_time(made.total_s)} for {settings.run.steps} steps")
    if measure:
        seconds, peak = measure_steps(settings)
        click.echo(f"measured           {seconds:.3f} s a step, {_size(peak)}")


def _size(count: float) -> str:
    """Bytes, in the unit in which the number is easily read."""
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    """Seconds, likewise."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


@click.command()
def doctor() -> None:
    """Say what is there, what is missing, and how to get it.

    Exits with 0 when nothing is missing, else with 1.

    Example: train doctor
    """
    from ..doctor import examine, examine_torch

    missing = _shown(examine())
    click.echo("loading PyTorch ...", err=True)  # in silence, half a minute would look like a fault
    missing += _shown(examine_torch())
    if missing:
        click.echo(f"{missing} missing: nothing can be trained like this", err=True)
        raise SystemExit(1)


def _shown(findings: Iterable[Finding]) -> int:
    """Print each as it comes; how many are missing."""
    missing = 0
    for finding in findings:
        state = finding.state.value
        missing += state == "missing"
        click.echo(click.style(f"{state:8}", _MARKS[state]) + finding.what)
        if finding.remedy:
            click.echo(f"{'':8}-> {finding.remedy}")
    return missing


COMMANDS = (run, model, estimate, doctor)
