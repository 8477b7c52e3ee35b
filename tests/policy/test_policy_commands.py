"""Every command can be asked for help, and shows how it is used."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner
from rwkv_music_daemon.cli import cli as daemon_cli

train_cli = pytest.importorskip("rwkv_music_train.cli").cli
PROGRAMS = {"rwkv-music-daemon": daemon_cli, "train": train_cli}
COMMANDS = [
    (program, name)
    for program, group in PROGRAMS.items()
    for name in group.list_commands(click.Context(group))
]


def check_help(program: str, *names: str) -> None:
    result = CliRunner().invoke(PROGRAMS[program], [*names, "--help"], prog_name=program)
    assert result.exit_code == 0, result.output
    assert "Usage: " + " ".join((program, *names)) in result.output
    _, example, shown = result.output.partition("Example")
    assert example, f"{' '.join((program, *names))} --help shows no example"
    assert " ".join((program, *names)) in " ".join(shown.split())


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_of_a_program_has_an_example(program: str) -> None:
    result = CliRunner().invoke(PROGRAMS[program], ["--help"], prog_name=program)
    assert result.exit_code == 0
    assert f"Example: {program} " in result.output


@pytest.mark.parametrize(("program", "name"), COMMANDS)
def test_help_has_an_example_that_names_the_command(program: str, name: str) -> None:
    group = PROGRAMS[program]
    command = group.get_command(click.Context(group), name)
    check_help(program, name)
    if isinstance(command, click.Group):
        for below in command.list_commands(click.Context(command)):
            check_help(program, name, below)


def groups(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, with their names."""
    yield names, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from groups(below, *names, name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_says_what_it_does(program: str) -> None:
    for names, command in groups(PROGRAMS[program], program):
        mute = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert not mute, f"{' '.join(names)}: {mute}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_summary_is_cut_off(program: str) -> None:
    for names, command in groups(PROGRAMS[program], program):
        if isinstance(command, click.Group):
            shown = CliRunner().invoke(PROGRAMS[program], [*names[1:], "--help"]).output
            assert "..." not in shown.partition("Commands:")[2], " ".join(names)


def test_what_is_promised_is_there() -> None:
    promised = {"run", "demo", "complete", "ports", "trigger", "ctl", "calibrate", "doctor"}
    assert promised <= {name for program, name in COMMANDS if program == "rwkv-music-daemon"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_command_is_a_usage_error(program: str) -> None:
    assert CliRunner().invoke(PROGRAMS[program], ["no-such-command"]).exit_code == 2
