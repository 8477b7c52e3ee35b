"""The table in words: docs/osc.md, and the constants for the bridges.

`python -m rwkv_music_daemon.osc.document` writes all of them; tests keep them equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..config import Config
from ..parameters import OF_THE_REQUEST, PARAMETERS, Parameter
from . import script_constants, script_patch
from .announcements import EVENTS, REPLIES, MessageSpec
from .arguments import Arg, signature
from .framing import LARGEST_DATAGRAM, MOST_MESSAGES
from .requests import NOT_ONCE, REQUESTS
from .subscribers import LEASE_NS
from .table import PARAMETER_VERBS, PROTOCOL

ERROR_CODES = {
    400: "wrong arguments, or no OSC",
    404: "unknown address or name",
    406: "not acceptable now",
    409: "busy",
    412: "incomplete",
    422: "out of range",
    500: "internal",
    503: "no model",
}
_OSC = Config().osc
_HEAD = f"""# OSC

<!-- Made by `python -m rwkv_music_daemon.osc.document`: change the code, not this page. -->

UDP on {_OSC.host}:{_OSC.port} (`osc.host`, `osc.port`), protocol {PROTOCOL}. Try it:
`rwkv-music-daemon ctl /rwkv/status`.

Replies go to the sender, events to the subscribers. Addresses are matched exactly, without
patterns. `i` is a whole number, `f` a number, `s` text; a whole number serves where a number is
asked for, and a number, rounded, where a whole one is; int64, double, true and false are taken as
well. A `v` has the type of its parameter. What stands in brackets may be left out. Bars and beats
count from 0 at the transport's start, and are negative in a count-in; a beat is a quarter note
in every meter.

A single 0 sent to a request without arguments is the release of a button and ignored; 1 is
accepted. The elements of a bundle are carried out in order, at once; a time tag in the future is
error 406. A datagram has at most {LARGEST_DATAGRAM} bytes and {MOST_MESSAGES} messages.
A wrong request changes nothing and is answered with `/rwkv/error`.
"""


def markdown() -> str:
    """docs/osc.md."""
    return "".join(
        [
            _HEAD,
            *_requests(),
            *_parameters(),
            *_messages("Replies", "Sent to whoever asked.", REPLIES.values()),
            *_messages(
                "Events",
                "Sent to the ports that `/rwkv/subscribe` named.",
                EVENTS.values(),
            ),
            "\n## Error codes\n\n| code | meaning |\n|---|---|\n",
            *(f"| {code} | {meaning} |\n" for code, meaning in ERROR_CODES.items()),
        ]
    )


def constants() -> str:
    """bridge_scripts/constants.json: what scripts inside hosts need to know of the protocol."""
    table = {
        "about": "Made by `python -m rwkv_music_daemon.osc.document`: change the code instead.",
        "protocol": PROTOCOL,
        "host": _OSC.host,
        "port": _OSC.port,
        "lease_s": LEASE_NS // 1_000_000_000,
        "largest_datagram": LARGEST_DATAGRAM,
        "requests": {a: _types(s.args, s.repeated) for a, s in REQUESTS.items()},
        "replies": {a: _types(s.args, s.repeated) for a, s in REPLIES.items()},
        "events": {a: _types(s.args, s.repeated) for a, s in EVENTS.items()},
        "parameters": {p.name: _constant(p) for p in PARAMETERS.values()},
        "errors": {str(code): meaning for code, meaning in ERROR_CODES.items()},
    }
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


def _requests() -> Iterator[str]:
    yield "\n## Requests\n\n| address | arguments | effect | answer |\n|---|---|---|---|\n"
    for spec in REQUESTS.values():
        answer = f"`{spec.reply}`" if spec.reply else ""
        yield (
            f"| `{spec.address}` | {_signature(spec.args, spec.repeated)}"
            f" | {spec.help} | {answer} |\n"
        )
    effects = (
        "Changes it lastingly.",
        "Changes it for the next completion only, be it of a request, of `trade` or of `auto`.",
        "Tells it.",
    )
    for verb, effect in zip(PARAMETER_VERBS, effects, strict=True):
        value = "" if verb == "get" else "value"
        yield f"| `/rwkv/{verb}/NAME` | {value} | {effect} | `/rwkv/param/NAME` |\n"


def _parameters() -> Iterator[str]:
    yield "\n## Parameters\n\nFor NAME in `/rwkv/set/NAME`, `/rwkv/once/NAME`, `/rwkv/get/NAME`;"
    yield " in the configuration they are `generation.NAME`. What is set acts on what plays, too,"
    yield " within a beat, however far ahead that has been made; where the table says so, it waits"
    yield " for the next request.\n\n"
    yield "| name | type | default | allowed | meaning |\n|---|---|---|---|---|\n"
    for p in PARAMETERS.values():
        mark = " *Not for `once`.*" if p.name in NOT_ONCE else ""
        mark += " *From the next request on.*" if p.name in OF_THE_REQUEST else ""
        yield f"| `{p.name}` | {p.type} | {p.default} | {p.expected} | {p.help}{mark} |\n"


def _messages(title: str, intro: str, specs: Iterable[MessageSpec]) -> Iterator[str]:
    yield f"\n## {title}\n\n{intro}\n\n| address | arguments | meaning, moment |\n|---|---|---|\n"
    for spec in specs:
        if spec.address.removeprefix("/rwkv/param/") not in PARAMETERS:
            arguments = _signature(spec.args, spec.repeated)
            yield f"| `{spec.address}` | {arguments} | {spec.help} |\n"
    yield "| `/rwkv/param/NAME` | value | The value of a parameter, in its type. |\n"


def _signature(args: tuple[Arg, ...], repeated: tuple[Arg, ...]) -> str:
    """The arguments, with their limits where these are not plain."""
    if not args and not repeated:
        return ""
    text = signature(args, repeated) if args else f"{signature(repeated)} …"
    choices = [", ".join(arg.choices) for arg in args if arg.choices]
    return f"{text} ({'; '.join(choices)})" if choices else text


def _types(args: tuple[Arg, ...], repeated: tuple[Arg, ...]) -> list[str]:
    shown = [str(arg) for arg in args]
    return [*shown, *(f"*{arg}" for arg in repeated)]


def _constant(p: Parameter) -> dict[str, object]:
    limits: dict[str, object] = {"minimum": p.minimum, "maximum": p.maximum}
    return {
        "type": p.type,
        "default": p.default,
        **({"choices": list(p.choices)} if p.choices else limits),
        "help": p.help,
    }


def files() -> dict[str, str]:
    """All that is made from the table: paths in the checkout, and what belongs there."""
    return {
        "docs/osc.md": markdown(),
        "bridge_scripts/constants.json": constants(),
        "bridge_scripts/ableton/RWKV_Music/constants.py": script_constants.python(),
        "bridge_scripts/reaper/RWKV Music/lib/constants.lua": script_constants.lua(),
        "bridge_scripts/puredata/rwkv_parameters.pd": script_patch.parameters_patch(),
    }


def main() -> None:
    """Write them into the checkout that this module belongs to."""
    root = Path(__file__).resolve().parents[2]
    for path, text in files().items():
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
