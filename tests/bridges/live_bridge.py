"""The Remote Script as it is installed, loaded into the stand-in for Live."""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bridge_scripts" / "ableton" / "RWKV_Music"


def install(folder: Path, port: int) -> Path:
    """A copy of the script that talks to the service on that port."""
    target = folder / SCRIPT.name
    shutil.copytree(SCRIPT, target, ignore=shutil.ignore_patterns("__pycache__"))
    file = target / "settings.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**settings, "port": port}), encoding="utf-8")
    return target


@contextlib.contextmanager
def imported(folder: Path) -> Iterator[ModuleType]:
    """The installed package, out of that folder; forgotten afterwards."""
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(SCRIPT.name)
    finally:
        sys.path.remove(str(folder))
        for name in [n for n in sys.modules if n.partition(".")[0] == SCRIPT.name]:
            del sys.modules[name]
