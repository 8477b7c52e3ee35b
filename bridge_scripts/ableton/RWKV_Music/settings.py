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


class SettingsError(Exception):
    """settings.json cannot be used; the text is for the musician."""


class Settings(NamedTuple):
    """port: of the service, on this machine. controls: command -> control."""

    port: int
    controls: dict


def load(path: Path = FILE) -> Settings:
    """Read the file. Raises SettingsError, with the file's name."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("controls", {}), dict):
            raise SettingsError('expected {"port": ..., "controls": {...}}')
        port = found.get("port", constants.PORT)
        if not isinstance(port, int) or not 1 <= port <= 65535:
            raise SettingsError(f"port: expected a number from 1 to 65535, got {port!r}")
        return Settings(port, _controls(found.get("controls", {})))
    except (OSError, ValueError, SettingsError) as error:
        raise SettingsError(f"{path.name}: {error}") from error


def _controls(texts: dict) -> dict[str, Control]:
    controls = {}
    for name, text in texts.items():
        if name not in COMMANDS:
            raise SettingsError(f"unknown command {name!r}; there are {', '.join(COMMANDS)}")
        try:
            controls[name] = parse(str(text))
        except ControlError as error:
            raise SettingsError(f"{name}: {error}") from error
    return controls
