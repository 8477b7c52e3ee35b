"""Position, tempo and meter: one pure transport, fed by several sources."""

from .meters import BarSpan, MeterMap
from .transport import (
    SOURCES,
    Change,
    Located,
    SourceChanged,
    Started,
    Stopped,
    Transport,
)

__all__ = [
    "SOURCES",
    "BarSpan",
    "Change",
    "Located",
    "MeterMap",
    "SourceChanged",
    "Started",
    "Stopped",
    "Transport",
]
