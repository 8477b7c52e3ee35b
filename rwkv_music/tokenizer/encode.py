"""Music to token ids, bar by bar. Pure: a bar's tokens depend on nothing but the bar.

A bar is its header `Bar TimeSig Tempo`, then by position `Position (Pitch Velocity Duration)...`,
chord tones from low to high.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import TokenError
from ..music import Bar, Meter, Note
from .vocabulary import Vocabulary, load_vocabulary


def encode_header(
    meter: Meter, tempo_bpm: float, vocabulary: Vocabulary | None = None
) -> list[int]:
    """The three tokens that open a bar. The transport says them; they are never sampled."""
    v = vocabulary or load_vocabulary()
    return [v.bar, v.meter_id(meter), v.tempo_id(tempo_bpm)]


def encode_notes(
    notes: Sequence[Note], after: Note | None = None, vocabulary: Vocabulary | None = None
) -> list[int]:
    """Tokens of notes in canonical order that follow `after` in the same bar.

    Raises TokenError when a note has no token or the order is not the canonical one.
    """
    v = vocabulary or load_vocabulary()
    ids: list[int] = []
    for note in notes:
        ids += encode_onset(note, after, v)
        ids += (v.velocity_id(note.velocity), v.duration_id(note.duration))
        after = note
    return ids


def encode_onset(note: Note, after: Note | None, vocabulary: Vocabulary) -> list[int]:
    """`Position Pitch`, or `Pitch` alone for a further tone of the chord that `after` is in."""
    if after is not None and (note.onset, note.pitch) <= (after.onset, after.pitch):
        raise TokenError(f"notes of a bar: {note} cannot follow {after}; sort them")
    pitch = vocabulary.pitch_id(note.pitch)
    if after is not None and note.onset == after.onset:
        return [pitch]
    return [vocabulary.position_id(note.onset), pitch]


def encode_bar(bar: Bar, vocabulary: Vocabulary | None = None) -> list[int]:
    """Header and notes of a whole bar. Raises TokenError for what has no tokens."""
    v = vocabulary or load_vocabulary()
    if bar.notes and bar.notes[-1].onset >= bar.meter.steps:
        raise TokenError(f"{bar.notes[-1]} starts after the end of its {bar.meter} bar")
    return encode_header(bar.meter, bar.tempo_bpm, v) + encode_notes(bar.notes, None, v)


def encode_phrase(bars: Iterable[Bar], vocabulary: Vocabulary | None = None) -> list[int]:
    """The tokens of the bars one after another: there is nothing between bars."""
    v = vocabulary or load_vocabulary()
    return [token for bar in bars for token in encode_bar(bar, v)]
