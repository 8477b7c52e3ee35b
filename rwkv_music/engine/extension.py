"""The compiled half of the native engine as `module`, or None; then `absence` says why.

An extension outlives the sources that it was made from: after an update without an installation it
would lack what is asked of it, or, worse, read a checkpoint in an older way. So it carries their
stamp. Where the sources are not installed, it came together with the rest.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from .source_stamp import source_stamp

__all__ = ["absence", "module", "remedy", "staleness"]

SOURCES = Path(__file__).parent / "csrc"


def staleness(module: ModuleType, sources: Path) -> str:
    """What is wrong with an extension that was built from other sources; empty where nothing is."""
    expected = source_stamp(sources)
    if expected in (0, getattr(module, "SOURCE_STAMP", None)):
        return ""
    return f"{module.__file__} was built from other sources than those in {sources}"


absence, remedy = "", ""
try:
    from . import _native as module
except ImportError as error:
    absence, remedy = str(error), "install a C++ compiler and reinstall rwkv-music"
    module = None  # type: ignore[assignment]
else:
    if absence := staleness(module, SOURCES):
        remedy = "reinstall rwkv-music"
        module = None  # type: ignore[assignment]
