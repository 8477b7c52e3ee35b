"""Where the files of this user live on this system."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rwkv_music.errors import ConfigError

_NAME = "rwkv-music"


def config_file(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The configuration that is read when none is named; it need not exist. Raises ConfigError."""
    return _base("XDG_CONFIG_HOME", ".config", environ, platform) / _NAME / "config.yaml"


def data_directory(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where the service keeps what it remembers; it need not exist. Raises ConfigError."""
    return _base("XDG_DATA_HOME", ".local/share", environ, platform) / _NAME


def _base(variable: str, unix: str, environ: Mapping[str, str], platform: str) -> Path:
    """XDG's variable wins everywhere, so that a test or a user can move the files. A relative
    path in it is ignored, as XDG says."""
    chosen = Path(environ.get(variable, ""))
    if chosen.is_absolute():
        return chosen
    try:
        home = Path(environ.get("HOME") or environ.get("USERPROFILE") or Path.home())
    except RuntimeError as error:  # a user whom the system does not know, as in a container
        raise ConfigError(f"your home folder is not known: set HOME or {variable}") from error
    if platform == "darwin":
        return home / "Library" / "Application Support"
    if platform == "win32":
        kind = "APPDATA" if variable == "XDG_CONFIG_HOME" else "LOCALAPPDATA"
        return Path(environ.get(kind) or home / "AppData" / "Roaming")
    return home / unix
