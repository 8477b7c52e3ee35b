"""REMI tokens: a frozen vocabulary, an incremental encoder, a decoder, and what may follow."""

from .decode import BarLine, Decoder, decode_phrase
from .encode import encode_bar, encode_header, encode_notes, encode_onset, encode_phrase
from .grammar import BarGrammar
from .vocabulary import TempoTracker, Vocabulary, load_vocabulary

__all__ = [
    "BarGrammar",
    "BarLine",
    "Decoder",
    "TempoTracker",
    "Vocabulary",
    "decode_phrase",
    "encode_bar",
    "encode_header",
    "encode_notes",
    "encode_onset",
    "encode_phrase",
    "load_vocabulary",
]
