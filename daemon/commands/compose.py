"""`compose`: let the running service continue a list of notes, for scripts inside DAWs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from rwkv_music.atomic_file import replacing
from rwkv_music.errors import RwkvMusicError
from rwkv_music.music import Meter

from ..config import load_config
from ..osc.arguments import LARGEST_INT, OscError
from ..osc.client import OscClient
from ..osc.composing import ComposedNote, Context, compose
from ..osc.requests import REQUESTS
from .options import config_options, timeout_option

_EXPECTED = "expected a line for each note: beat pitch velocity beats, such as 0.5 60 90 1"


class ComposeFileError(RwkvMusicError):
    """A list of notes that cannot be used."""


class _Answering(click.Command):
    """Words that are wrong are an outcome too: a script may be waiting for its file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if out_path := ctx.params.get("out_path"):
                _write_error(out_path, error.format_message())
            raise


@click.command(cls=_Answering)
@click.argument("notes_path", metavar="NOTES.txt")
@click.option(
    "--tempo",
    "tempo_bpm",
    type=float,
    default=120.0,
    show_default=True,
    metavar="BPM",
    help="Quarters a minute.",
)
@click.option(
    "--meter",
    "meter_text",
    default="4/4",
    show_default=True,
    metavar="N/D",
    help="Meter of the notes and of what follows.",
)
@click.option(
    "--bars",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Length; as the service's `bars`.",
)
@click.option(
    "--seed",
    type=click.IntRange(-1, LARGEST_INT),
    metavar="N",
    help="The same seed makes the same notes.",
)
@click.option(
    "-o",
    "--output",
    "out_path",
    is_eager=True,  # known before another word is found to be wrong
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the outcome there, the notes or a line that begins with `error:`. The file appears"
    " when it is complete, for scripts that look for it instead of waiting.",
)
@timeout_option(60.0, "How long to wait for a word of the service.")
@config_options
def command(
    notes_path: str,
    tempo_bpm: float,
    meter_text: str,
    bars: int | None,
    seed: int | None,
    out_path: Path | None,
    timeout_s: float,
    config_path: str | None,
    overrides: Sequence[str],
) -> None:
    """Let the running service continue notes, apart from what it hears, and print the result.

    NOTES.txt has a line for each note: the beat it begins at, in quarters from the beginning of
    a bar, its pitch and velocity, and its length in beats; - is the standard input. The result has
    the same form and begins with the first bar after these notes.

    Example: rwkv-music-daemon compose verse.txt --tempo 96 --meter 3/4 --bars 8
    """
    try:
        notes, meter = read_notes(_text(notes_path)), Meter.parse(meter_text)
        osc = load_config(config_path, overrides).osc
        host = "127.0.0.1" if osc.host == "0.0.0.0" else osc.host
        with OscClient(host, osc.port) as client:
            bars = bars or int(client.request("/rwkv/get/bars")[-1].args[0])
            made = compose(client, Context(notes, tempo_bpm, meter, bars, seed), timeout_s)
    except (RwkvMusicError, OSError) as error:  # of the network
        if out_path is None:
            raise
        _write_error(out_path, str(error))
        sys.exit(1)
    text = "".join(f"{line}\n" for line in lines_of(made))
    if out_path is None:
        click.echo(text, nl=False)
    else:
        _write(out_path, text)


def read_notes(text: str) -> list[ComposedNote]:
    """The notes of such a text. Raises ComposeFileError with the number of the line."""
    notes = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            beat, pitch, velocity, beats = line.split()
            note = ComposedNote(float(beat), int(pitch), int(velocity), float(beats))
        except ValueError:
            raise ComposeFileError(f"line {number}: {_EXPECTED}; got {line[:60]!r}") from None
        _check(note, number)
        notes.append(note)
    return notes


def _check(note: ComposedNote, number: int) -> None:
    for arg, value in zip(REQUESTS["/rwkv/compose/notes"].repeated, note, strict=True):
        try:
            arg.check(value)
        except OscError as error:
            raise ComposeFileError(f"line {number}: {error}") from error


def lines_of(notes: Iterable[ComposedNote]) -> list[str]:
    """The other way round, in the order of the beats."""
    return [f"{n.beat:.9g} {n.pitch} {n.velocity} {n.beats:.9g}" for n in sorted(notes)]


def _text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ComposeFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ComposeFileError(f"{path}: {_EXPECTED}; got what is no text") from error


def _write_error(path: Path, message: str) -> None:
    _write(path, f"error: {' '.join(message.split())}\n")


def _write(path: Path, text: str) -> None:
    """All of it at once, for somebody may be looking."""
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ComposeFileError(f"{path}: cannot be written: {error.strerror}") from error
