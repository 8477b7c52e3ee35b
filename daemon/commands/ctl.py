"""`ctl`: any OSC request to the running service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress

import click

from ..config import load_config
from ..osc.arguments import Arg
from ..osc.client import OscClient
from ..osc.framing import Message
from ..osc.requests import REQUESTS
from ..osc.table import PARAMETER_VERBS, OscError
from ..parameters import PARAMETERS
from .options import ANSWER_S, Seconds, config_options, timeout_option

Value = int | float | str


def _begun(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """The addresses that begin so, for a shell that completes words."""
    named = [f"/rwkv/{verb}/{name}" for verb in PARAMETER_VERBS for name in PARAMETERS]
    whole = begun if begun.startswith("/") else f"/rwkv/{begun}"
    surplus = len(whole) - len(begun)
    return [address[surplus:] for address in (*REQUESTS, *named) if address.startswith(whole)]


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("address", required=False, shell_complete=_begun)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--listen",
    "listen_s",
    type=Seconds(0),
    metavar="SECONDS",
    help="Then print the events of so many seconds, or until Ctrl-C.",
)
@timeout_option(None, f"How long to wait for the answer: {ANSWER_S:g}, or more where work is done.")
@config_options
def command(
    address: str | None,
    args: tuple[str, ...],
    listen_s: float | None,
    timeout_s: float | None,
    config_path: str | None,
    overrides: Sequence[str],
) -> None:
    """Send an OSC request to the running service and print its answer.

    Exits with 1 when the service answers with an error or not at all, or is gone in the end. The
    requests are in docs/osc.md; `/rwkv` in front may be left out. `model/load` waits until the
    model plays.

    \b
    Examples:
      rwkv-music-daemon ctl /rwkv/status
      rwkv-music-daemon ctl trigger 8
      rwkv-music-daemon ctl set/temperature 0.8
      rwkv-music-daemon ctl set/nudge_ms -12
      rwkv-music-daemon ctl --listen 30
    """
    if address is None and listen_s is None:
        raise click.UsageError("nothing to do: name an ADDRESS, or --listen SECONDS")
    osc = load_config(config_path, overrides).osc
    host = "127.0.0.1" if osc.host == "0.0.0.0" else osc.host
    with OscClient(host, osc.port, timeout_s or ANSWER_S) as client:
        if address is not None:
            address = address if address.startswith("/") else f"/rwkv/{address}"
            spec = REQUESTS.get(address)
            patience_s = spec.patience_s if spec and timeout_s is None else 0.0
            _request(client, address, typed_arguments(address, args), patience_s)
        elif listen_s:
            client.request("/rwkv/ping")  # who listens to nobody should know
        if listen_s is not None and not _heard_to_the_end(client, listen_s):
            sys.exit(1)


def _heard_to_the_end(client: OscClient, listen_s: float) -> bool:
    """Print the events; whether the service was still there at the last."""
    is_there = True
    with closing(client.listen(listen_s)) as events, suppress(KeyboardInterrupt):
        for message in events:
            is_there = message is not None
            if message is None:
                click.echo("the service does not answer any more", err=True)
            else:
                _print([message])
    return is_there


def _request(client: OscClient, address: str, args: Sequence[Value], patience_s: float) -> None:
    try:
        _print(client.request(address, *args, patience_s=patience_s))
    except OscError as error:
        _print([Message("/rwkv/error", (error.code, str(error), address))])
        sys.exit(1)


def _print(messages: Iterable[Message]) -> None:
    for message in messages:
        click.echo(" ".join([message.address, *map(shown, message.args)]))


def shown(value: Value) -> str:
    """An argument on one line; text that a shell would split is quoted."""
    if isinstance(value, str):
        plain = value.isprintable() and value and not set(value) & set(" \"'\\")
        return value if plain else json.dumps(value, ensure_ascii=False)
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def typed_arguments(address: str, texts: Sequence[str]) -> list[Value]:
    """The words as OSC values: text where the table asks for text, numbers where they are any."""
    verb, _, name = address.removeprefix("/rwkv/").partition("/")
    if address in REQUESTS:
        spec = REQUESTS[address]
        args: Sequence[Arg] = spec.args + spec.repeated * len(texts)
        kinds = [arg.type for arg in args]
    elif verb in ("set", "once") and name in PARAMETERS:
        kinds = [PARAMETERS[name].type]
    else:
        kinds = []
    kinds += ["?"] * (len(texts) - len(kinds))
    return [
        text if kind == "s" else _number(text) for text, kind in zip(texts, kinds, strict=False)
    ]


def _number(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
