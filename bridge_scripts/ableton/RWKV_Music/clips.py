"""Notes out of a clip of Live's, and into a new one."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import Live

from .continuation import Context, Note

_ALL_PITCHES = (0, 128)


class ClipError(Exception):
    """Why a clip cannot be continued; the text is for the musician."""


class Selection(NamedTuple):
    """A clip that is to be continued: where it is, and what is in it."""

    slot: Any
    name: str
    context: Context


def selected(song: Any, slot: Any, bars: int) -> Selection:
    """The clip in the slot that was selected in the session view. Raises ClipError."""
    is_gone = slot == None  # noqa: E711 - to Live, what was deleted equals None
    if is_gone or not slot.has_clip or not slot.clip.is_midi_clip:
        raise ClipError("select a MIDI clip in the session view first")
    clip = slot.clip
    notes = read(clip)
    if not notes:
        raise ClipError("there are no notes in the selected clip")
    meter = clip.signature_numerator, clip.signature_denominator
    return Selection(slot, clip.name, Context(notes, song.tempo, *meter, bars))


def read(clip: Any) -> list[Note]:
    """The notes that sound when the clip is played once, counted from its beginning."""
    start = clip.loop_start if clip.looping else clip.start_marker
    found = clip.get_notes_extended(*_ALL_PITCHES, start, clip.length)
    notes = [
        Note(n.start_time - start, n.pitch, min(max(round(n.velocity), 1), 127), n.duration)
        for n in found
        if not n.mute and n.start_time >= start
    ]
    return sorted(notes)


def write(song: Any, source: Selection, notes: Sequence[Note]) -> Any:
    """A new clip behind the source, in the next free slot of its track: one step to undo."""
    context = source.context
    song.begin_undo_step()
    try:
        slot = _free_slot(song, source.slot)
        slot.create_clip(context.bars * context.bar_beats)
        clip = slot.clip
        clip.name = f"{source.name} RWKV".strip()
        clip.signature_numerator = context.numerator
        clip.signature_denominator = context.denominator
        clip.add_new_notes(tuple(_specification(note) for note in notes))
    finally:
        song.end_undo_step()
    return slot


def _free_slot(song: Any, source: Any) -> Any:
    track = source.canonical_parent
    slots = list(track.clip_slots)
    for slot in slots[slots.index(source) + 1 :]:
        if not slot.has_clip:
            return slot
    song.create_scene(-1)  # at the end
    return track.clip_slots[-1]


def _specification(note: Note) -> Any:
    return Live.Clip.MidiNoteSpecification(
        pitch=note.pitch, start_time=note.beat, duration=note.beats, velocity=note.velocity
    )
