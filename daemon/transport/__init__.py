"""Position, tempo and meter: one pure transport, fed by several sources."""

from ..leaders import SOURCES
from .changes import Change, Located, SourceChanged, Started, Stopped
from .link import LinkState, LinkWish
from .meters import BarSpan, MeterMap
from .midi_messages import take_midi
from .transport import Transport

__all__ = [
    "SOURCES",
    "BarSpan",
    "Change",
    "LinkState",
    "LinkWish",
    "Located",
    "MeterMap",
    "SourceChanged",
    "Started",
    "Stopped",
    "Transport",
    "take_midi",
]
