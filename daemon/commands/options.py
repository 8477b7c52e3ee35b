"""The options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]
ANSWER_S = 2.0  # for an answer that the service knows at once


class Seconds(click.FloatRange):
    """A time that ends: click's own range lets NaN through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{seconds:g} is no number of seconds", param, ctx)
        return seconds


def config_options(command: Command) -> Command:
    """`--config FILE` and `--set KEY=VALUE`, as `config_path` and `overrides`."""
    command = click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Change one key of the configuration, such as osc.port=7780. May be repeated.",
    )(command)
    return click.option(
        "--config",
        "config_path",
        type=click.Path(),
        metavar="FILE",
        help="Configuration to read instead of your own.",
    )(command)


def service_options(command: Command) -> Command:
    """The same, and `--timeout SECONDS`, as `timeout_s`: for commands that talk to the service."""
    return config_options(timeout_option(ANSWER_S, "How long to wait for the answer.")(command))


def counted(number: int, noun: str) -> str:
    """1 bar, 2 bars."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def timeout_option(default: float | None, help: str) -> Callable[[Command], Command]:
    """`--timeout SECONDS`, as `timeout_s`."""
    return click.option(
        "--timeout",
        "timeout_s",
        type=Seconds(0.01, 3600),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=help,
    )
