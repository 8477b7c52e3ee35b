"""`demo`: the main job from end to end, on a machine that has no DAW and no instrument."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from rwkv_music.errors import RwkvMusicError
from rwkv_music.midi_files import write_voices
from rwkv_music.pianoroll import draw_piano_roll

from ..boot import start_log
from ..config import Config, load_config
from ..demo.lateness import lateness, table
from ..demo.narration import Narration
from ..demo.performance import Performance, shipped_performance
from ..demo.stage import LiveStage, Outcome, RehearsalStage, hanging_notes
from ..demo.voices import voices
from .options import config_options

_INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C has ended


@click.command()
@click.option("--fast", is_flag=True, help="Do not wait: run on a clock that is moved by hand.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    metavar="DIR",
    help="Where demo.mid and demo.png go.",
)
@click.option(
    "--bars",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="How long the continuation is.",
)
@click.option(
    "--seed",
    type=click.IntRange(-1, 2**31 - 1),
    metavar="S",
    help="The same seed plays the same; -1 is new each time, which is the default.",
)
@config_options
def command(
    fast: bool,
    folder: Path,
    bars: int,
    seed: int | None,
    config_path: str | None,
    overrides: Sequence[str],
) -> None:
    """Play a shipped performance into the service and let it go on.

    Real time, on ports in memory: the performance comes in note by note, a completion is asked
    for shortly before it ends, and starts on the bar line. What was heard and played is written
    as a MIDI file with two tracks and drawn as a piano roll. Ctrl-C ends it, in silence.

    Example: rwkv-music-daemon demo --bars 4 --seed 7 --set generation.temperature=0.8
    """
    performance = shipped_performance()
    config = _configured(load_config(config_path, overrides), performance, bars, seed)
    start_log("demo", config.logging)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"--out {folder}: cannot be made: {error.strerror}") from error
    narration = Narration(performance, click.echo)
    if fast:
        outcome = _introduced(RehearsalStage(config, narration), performance, bars, "at once")
    else:
        outcome = _live(config, narration, performance, bars)
    click.echo(f"\n{table(lateness(outcome))}")
    if fast:
        click.echo("--fast moves its clock by hand, so these times say nothing about this machine")
    click.echo(f"seed {narration.seed}; {outcome.hanging} notes still sounding")
    _keep(outcome, performance, bars, folder)


def _configured(config: Config, performance: Performance, bars: int, seed: int | None) -> Config:
    """The configuration, with the performance's own tempo and meter."""
    transport = replace(
        config.transport,
        source="internal",
        tempo_bpm=performance.tempo_bpm,
        meter=performance.meter,
    )
    generation = config.generation.with_value("bars", bars)
    if seed is not None:
        generation = generation.with_value("seed", seed)
    return replace(config, transport=transport, generation=generation)


def _live(config: Config, narration: Narration, performance: Performance, bars: int) -> Outcome:
    stage = LiveStage(config, narration)
    try:
        with stage:
            return _introduced(stage, performance, bars, "in real time, Ctrl-C ends it")
    except KeyboardInterrupt:
        left = hanging_notes(stage.port.sent)
        click.echo(f"\nended by Ctrl-C; {left} notes still sounding")
        sys.exit(_INTERRUPTED)


def _introduced(
    stage: LiveStage | RehearsalStage, performance: Performance, bars: int, how: str
) -> Outcome:
    click.echo(f"model: {stage.load()}")
    click.echo(
        f"{performance.bars} bars in {performance.meter} at {performance.tempo_bpm:g} a minute are"
        f" played in, {bars} bars follow, {how}"
    )
    return stage.perform(performance, bars)


def _keep(outcome: Outcome, performance: Performance, bars: int, folder: Path) -> None:
    """Write what was heard and say where it is."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its font cache
    both = voices(outcome, performance, bars)
    midi_path, png_path = folder / "demo.mid", folder / "demo.png"
    write_voices(both, midi_path)
    click.echo(f"MIDI file: {midi_path}")
    try:
        draw_piano_roll(both, png_path, title="RWKV Music")
    except RwkvMusicError as error:
        click.echo(f"no piano roll: {error}")
    else:
        click.echo(f"piano roll: {png_path}")
