"""The scripts that run inside hosts: which there are, where each host looks for them, and the copy.

The scripts are data here; they import nothing of ours.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rwkv_music.errors import RwkvMusicError

from .config import Config

_HERE = Path(__file__).resolve().parent
_SUFFIXES = {".py", ".json", ".lua", ".ReaperOSC", ".pd"}
_SETTINGS = "settings.json"
_PROGRAM = "program.lua"
_PORT = re.compile(rb"\b%d\b" % Config().osc.port)  # as it stands in the scripts


class BridgeError(RwkvMusicError):
    """A bridge that there is not, or that cannot be installed."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A host and its scripts.

    parts: folder of ours (in bridge_scripts/NAME) -> folder of the host's, below its own.
    folders: system -> where the host's own folder may be, with stars where a version stands; a
    system that the host does not run on is missing.
    below: a folder in that one, which need not be there yet; what is ours goes into it.
    then: what is to be done in the host, with {port} for the service's.
    """

    name: str
    host: str
    does: str
    then: str
    parts: Mapping[str, str]
    folders: Mapping[str, tuple[str, ...]]
    below: str = ""

    @property
    def page(self) -> str:
        return f"docs/{self.name}.md"


BRIDGES = {
    bridge.name: bridge
    for bridge in (
        Bridge(
            "ableton",
            "Ableton Live 11 and 12",
            "transport, buttons, continuing the selected clip",
            "start Live again; Settings > Link, Tempo & MIDI > Control Surface: RWKV Music",
            {"RWKV_Music": "RWKV_Music"},
            {
                "darwin": ("~/Music/Ableton/User Library",),
                "win32": (
                    "~/Documents/Ableton/User Library",
                    "~/OneDrive/Documents/Ableton/User Library",
                ),
            },
            below="Remote Scripts",
        ),
        Bridge(
            "reaper",
            "REAPER",
            "transport without a script, actions, continuing the selected item",
            "Preferences > Control/OSC/web > Add > OSC, port {port}, pattern config RWKV Music;"
            " Actions > New action > Load ReaScript",
            {"RWKV Music": "Scripts/RWKV Music", "OSC": "OSC"},
            {
                "darwin": ("~/Library/Application Support/REAPER",),
                "win32": ("$APPDATA/REAPER",),
                "linux": ("~/.config/REAPER",),
            },
        ),
        Bridge(
            "ardour",
            "Ardour 7 and newer",
            "a hook for the transport, actions",
            "Edit > Lua Scripts > Script Manager: an action hook and action scripts, RWKV Music",
            {"": "scripts"},
            {
                "darwin": ("~/Library/Preferences/Ardour*",),
                "win32": ("$LOCALAPPDATA/Ardour*",),
                "linux": ("~/.config/ardour*",),
            },
        ),
        Bridge(
            "puredata",
            "Pure Data 0.51 and newer",
            "a patch with every control",
            "open rwkv_music.pd",
            {"": "RWKV Music"},
            dict.fromkeys(("darwin", "win32", "linux"), ("~/Documents",)),
        ),
    )
}


def scripts_folder() -> Path:
    """bridge_scripts/: beside the package in a checkout, inside it where it is installed."""
    for folder in (_HERE / "bridge_scripts", _HERE.parent / "bridge_scripts"):
        if (folder / "constants.json").is_file():
            return folder
    raise BridgeError("the bridges' scripts are missing from this installation; install it again")


def find(name: str) -> Bridge:
    """The bridge of that name. Raises BridgeError."""
    if name not in BRIDGES:
        raise BridgeError(f"there is no bridge {name!r}, only {', '.join(BRIDGES)}")
    return BRIDGES[name]


def host_folders(
    bridge: Bridge, environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[Path]:
    """Where the scripts go on this machine: a folder for each of the host's own that is there."""
    home = environ.get("HOME") or environ.get("USERPROFILE") or str(Path.home())
    found: list[Path] = []
    for pattern in bridge.folders.get(platform, ()):
        place = pattern.replace("~", Path(home).as_posix(), 1)
        for variable in ("LOCALAPPDATA", "APPDATA"):
            place = place.replace(f"${variable}", environ.get(variable, "").replace("\\", "/"))
        parent, _, last = place.rpartition("/")
        if Path(parent).is_absolute():
            found += sorted(path for path in Path(parent).glob(last) if path.is_dir())
    return [path / bridge.below for path in found]


def files(bridge: Bridge) -> Iterator[tuple[Path, Path]]:
    """Each file of ours, and its place below the host's folder."""
    for ours, theirs in bridge.parts.items():
        folder = scripts_folder() / bridge.name / ours
        for path in sorted(folder.rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file() and "__pycache__" not in path.parts:
                yield path, Path(theirs) / path.relative_to(folder)


def install(bridge: Bridge, folder: Path, osc_port: int, program: Path | None) -> list[Path]:
    """Copy the scripts, with the service's port in them, to below that folder and return what was
    written.

    Settings that are there already are the musician's and stay. program: the command that scripts
    run, where they look for one. Raises BridgeError.
    """
    written = []
    target = folder
    try:
        for source, place in files(bridge):
            target = folder / place
            if place.name == _SETTINGS and target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_PORT.sub(b"%d" % osc_port, source.read_bytes()))
            if place.name == _PROGRAM and program is not None:
                _set_program(target, program)
            written.append(target)
    except OSError as error:
        raise BridgeError(f"{target}: cannot be written: {error.strerror}") from error
    return written


def other_port(bridge: Bridge, folder: Path, osc_port: int) -> str | None:
    """What to say of settings below that folder that name another port than the service's."""
    for _, place in files(bridge):
        if place.name != _SETTINGS:
            continue
        file = folder / place
        try:
            named = json.loads(file.read_text(encoding="utf-8")).get("port", osc_port)
        except (OSError, ValueError, AttributeError) as error:
            return f"{file} was kept, but cannot be read: {error}"
        if named != osc_port:
            return (
                f"{file} was kept, with port {named}; the service has port {osc_port}:"
                " change it there, or delete the file and install again"
            )
    return None


def _set_program(file: Path, program: Path) -> None:
    text = file.read_text(encoding="utf-8")
    quoted = str(program).replace("\\", "\\\\").replace('"', '\\"')
    file.write_text(text.replace('"rwkv-music-daemon"', f'"{quoted}"'), encoding="utf-8")
