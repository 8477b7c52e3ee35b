"""`rwkv-music-daemon`: the command line. Subcommands are imported when they are asked for."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module

import click

from rwkv_music import __version__
from rwkv_music.errors import CheckpointError, ConfigError, PortError, RwkvMusicError

_SUMMARIES = {
    "run": "Run the service in the foreground.",
    "demo": "Play a shipped performance through the whole pipeline: no DAW, no hardware.",
    "complete": "Continue a MIDI file.",
    "memory": "Let the model hear MIDI files, to begin from what it heard.",
    "ports": "List the MIDI ports of this machine.",
    "trigger": "Ask the running service for a completion.",
    "ctl": "Send any OSC request to the running service and print its answer.",
    "calibrate": "Measure the loopback of two ports and propose nudge_ms.",
    "doctor": "Say what is there, what is missing, and how to get it.",
    "config": "Check a configuration, or show the effective one.",
    "compose": "Let the running service continue a list of notes: for scripts inside DAWs.",
    "models": "List, look at and quantise models.",
    "monitor": "Show in a browser what is heard and played.",
    "service": "Run it in the background, from login on.",
    "bridges": "List or install the scripts that run inside DAWs.",
}
_EXIT_CODES = ((ConfigError, 2), (PortError, 3), (CheckpointError, 4), (RwkvMusicError, 1))


class _Commands(click.Group):
    """Imports `commands/NAME.py` only when NAME is used, so that each command starts at once."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; where none is, one that is spelled alike is
        proposed."""
        near = get_close_matches(args[0], _SUMMARIES, n=1)
        if near and args[0] not in _SUMMARIES:
            ctx.fail(f"no such command {args[0]!r}; did you mean {near[0]}?")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _SUMMARIES:
            return None
        module = import_module(f".commands.{name}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rwkv-music-daemon")
def cli() -> None:
    """A real-time musical partner: play into its port, trigger, hear it go on.

    Example: rwkv-music-daemon demo
    """


def _limit_math_threads() -> None:
    """One thread for NumPy, here and in the children: matrices of a size for real time gain nothing
    from more, and threads that wait for each other while another program plays take a hundred
    times longer. Must happen before NumPy is imported."""
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")


def main() -> None:
    """Entry point. Exits with 2 for a wrong configuration, 3 for a port that cannot be had, 4 for
    a model that cannot be loaded, 1 for any other error of ours."""
    _limit_math_threads()
    try:
        cli(prog_name="rwkv-music-daemon")
    except RwkvMusicError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(next(code for kind, code in _EXIT_CODES if isinstance(error, kind)))
    except OSError as error:  # of the system, such as a full disk: no fault of ours to trace
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
