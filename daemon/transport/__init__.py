"""Position, tempo and meter: one pure transport, fed by several sources."""

from .changes import Change, Located, SourceChanged, Started, Stopped
from .meters import BarSpan, MeterMap
from .midi_messages import take_midi
from .transport import SOURCES, Transport

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
    "take_midi",
]
