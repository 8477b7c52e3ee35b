"""The table as source code for scripts inside hosts: Python for Live, Lua for REAPER.

Such scripts can import nothing of ours and read no file in peace, so they get modules of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..config import Config
from ..midi_map import COMMANDS
from ..parameters import PARAMETERS
from .announcements import EVENTS, REPLIES
from .arguments import Arg
from .framing import LARGEST_DATAGRAM
from .requests import MOST_COMPOSE_NOTES, REQUESTS
from .subscribers import LEASE_NS
from .table import PROTOCOL

_ABOUT = "Made by `python -m rwkv_music_daemon.osc.document`: change the code instead."
_OSC = Config().osc


def python() -> str:
    """constants.py of the script for Ableton Live: the grammar of Python 3.7."""
    lines = [f'"""What the script needs to know of the service\'s protocol.\n\n{_ABOUT}\n"""\n']
    for name, value in _numbers():
        lines.append(f"{name} = {json.dumps(value)}")
    modes = ", ".join(json.dumps(mode) for mode in _modes())
    lines += [f"MODES = ({modes})", "", "# Addresses."]
    lines += [f"{_constant(address)} = {json.dumps(address)}" for address in _addresses()]
    lines += ["", "# A command's name in a mapping -> its address and arguments.", "COMMANDS = {"]
    for command, (address, args) in COMMANDS.items():
        lines.append(f"    {json.dumps(command)}: ({_constant(address)}, {_tuple(args)}),")
    lines += ["}", "", "# Address -> the types of its arguments, then of those that repeat."]
    lines += ["TYPES = {"]
    for address, spec in REQUESTS.items():
        types = f"{json.dumps(_types(spec.args))}, {json.dumps(_types(spec.repeated))}"
        lines.append(f"    {_constant(address)}: ({types}),")
    return "\n".join([*lines, "}", ""])


def lua() -> str:
    """constants.lua of the ReaScripts: a module that returns one table."""
    lines = [
        f"-- What the scripts need to know of the service's protocol.\n-- {_ABOUT}",
        "",
        "return {",
    ]
    lines += [f"  {name} = {json.dumps(value)}," for name, value in _numbers()]
    modes = ", ".join(json.dumps(mode) for mode in _modes())
    lines += [f"  MODES = {{ {modes} }},", "  -- A command's name in a mapping -> words for `ctl`."]
    lines += ["  COMMANDS = {"]
    for command, (address, args) in COMMANDS.items():
        words = ", ".join(json.dumps(word) for word in (address, *args))
        lines.append(f"    {command} = {{ {words} }},")
    return "\n".join([*lines, "  },", "}", ""])


def _numbers() -> Iterator[tuple[str, int | str | float]]:
    yield "PROTOCOL", PROTOCOL
    yield "HOST", _OSC.host
    yield "PORT", _OSC.port
    yield "LEASE_S", LEASE_NS // 1_000_000_000
    yield "LARGEST_DATAGRAM", LARGEST_DATAGRAM
    yield "MOST_COMPOSE_NOTES", MOST_COMPOSE_NOTES
    yield "DEFAULT_BARS", PARAMETERS["bars"].default


def _modes() -> tuple[str, ...]:
    return REQUESTS["/rwkv/mode"].args[0].choices


def _addresses() -> list[str]:
    """All that is said, but of the parameters only the one that scripts follow."""
    followed = ("describe", "bars")
    said = dict.fromkeys((*REQUESTS, *REPLIES, *EVENTS))
    return [
        address
        for address in said
        if not address.startswith("/rwkv/param/") or address.rpartition("/")[2] in followed
    ]


def _constant(address: str) -> str:
    return address.removeprefix("/rwkv/").replace("/", "_").upper()


def _types(args: tuple[Arg, ...]) -> str:
    return "".join(arg.type for arg in args)


def _tuple(words: tuple[str, ...]) -> str:
    quoted = "".join(f"{json.dumps(word)}, " for word in words)
    return f"({quoted.rstrip() if len(words) == 1 else quoted.rstrip(', ')})"
