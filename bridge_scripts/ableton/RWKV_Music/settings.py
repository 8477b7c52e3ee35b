"""settings.json, beside this file: the service's port, and the MIDI controls that are commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from . import constants
from .controls import Control, ControlError, parse

FILE = Path(__file__).with_name("settings.json")
OWN_COMMANDS = ("mode", "continue_clip")  # carried out here: the next mode, the selected clip
COMMANDS = (*constants.COMMANDS, *OWN_COMMANDS)


class Settings(NamedTuple):
    """port: of the service, on this machine. controls: command -> control. errors: what of the
    file cannot be used, in words for the musician; the rest of it holds."""

    port: int
    controls: dict
    errors: tuple


def load(path: Path = FILE) -> Settings:
    """Read the file."""
    errors: list[str] = []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError('expected {"port": ..., "controls": {...}}')
    except (OSError, ValueError) as error:
        errors.append(f"{error}; no control works, and the port is {constants.PORT}")
        found = {}
    port = found.get("port", constants.PORT)
    if not isinstance(port, int) or not 1 <= port <= 65535:
        errors.append(f"port: expected a number from 1 to 65535, got {port!r}")
        port = constants.PORT
    texts = found.get("controls", {})
    if not isinstance(texts, dict):
        errors.append(f'controls: expected {{"trigger": "cc 20 ch 16", ...}}, got {texts!r}')
        texts = {}
    controls = _controls(texts, errors)
    return Settings(port, controls, tuple(f"{path.name}: {error}" for error in errors))


def _controls(texts: dict, errors: list) -> dict[str, Control]:
    controls = {}
    for name, text in texts.items():
        if name not in COMMANDS:
            errors.append(f"unknown command {name!r}; there are {', '.join(COMMANDS)}")
            continue
        try:
            controls[name] = parse(str(text))
        except ControlError as error:
            errors.append(f"{name}: {error}")
    return controls
