"""Our compiled client of JACK as `module`, or None; then `absence` says why."""

from __future__ import annotations

import sys
from pathlib import Path

from rwkv_music.source_stamp import staleness

__all__ = ["absence", "module", "remedy"]

SOURCES = Path(__file__).parent / "csrc"

absence, remedy = "", ""
try:
    from . import _jack as module
except ImportError as error:
    module = None  # type: ignore[assignment]
    if sys.platform != "win32":
        absence = str(error)
        remedy = "install a C++ compiler and Python's headers, and reinstall rwkv-music"
else:
    if absence := staleness(module, SOURCES):
        remedy = "reinstall rwkv-music"
        module = None  # type: ignore[assignment]
