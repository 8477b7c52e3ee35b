"""The compiled half of the native engine as `module`, or None; then `absence` says why."""

from __future__ import annotations

from pathlib import Path

from ..source_stamp import staleness

__all__ = ["absence", "module", "remedy"]

SOURCES = Path(__file__).parent / "csrc"

absence, remedy = "", ""
try:
    from . import _native as module
except ImportError as error:
    absence = str(error)
    remedy = "install a C++ compiler and Python's headers, and reinstall rwkv-music"
    module = None  # type: ignore[assignment]
else:
    if absence := staleness(module, SOURCES):
        remedy = "reinstall rwkv-music"
        module = None  # type: ignore[assignment]
