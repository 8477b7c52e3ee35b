"""A track more in a MIDI file, every byte of its own tracks left as it was."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import mido

from .errors import MidiFileError
from .music import STEPS_PER_BEAT, Phrase, cut_overlaps

_DRUM_CHANNEL = 9
_MOST_TRACKS = 65535


def append_track(data: bytes, bars: Phrase, start_tick: int, name: str) -> bytes:
    """The file with one track more, in which the bars begin at `start_tick`.

    A file of format 0 becomes one of format 1. The track has a channel of its own where one is
    free, and a piano on it. Raises MidiFileError.
    """
    header_length, format_number, declared, tpq = _header(data)
    if format_number > 1:
        raise MidiFileError(f"a MIDI file of format {format_number}; expected format 0 or 1")
    ends = [end for _, end in zip(range(declared), _track_ends(data), strict=False)]
    if not ends or len(ends) == _MOST_TRACKS:
        raise MidiFileError(f"a MIDI file with {len(ends)} tracks: none can be added")
    track = _track_chunk(bars, start_tick, tpq, name, _free_channel(data))
    header = b"MThd" + struct.pack(">IHHH", header_length, 1, len(ends) + 1, tpq)
    rest = 8 + 6  # what stands between header and tracks, or after them, stays too
    return header + data[rest : ends[-1]] + track + data[ends[-1] :]


def _header(data: bytes) -> tuple[int, int, int, int]:
    """Length, format, number of tracks, ticks a quarter."""
    if len(data) < 14 or data[:4] != b"MThd":
        raise MidiFileError("not a standard MIDI file: it does not begin with MThd")
    length, format_number, tracks, tpq = struct.unpack(">IHHH", data[4:14])
    if length < 6 or not 0 < tpq < 1 << 15:
        raise MidiFileError("a MIDI file without ticks a quarter cannot be continued in bars")
    return length, format_number, tracks, tpq


def _track_ends(data: bytes) -> Iterator[int]:
    """Where each track's chunk ends."""
    place = 8 + int.from_bytes(data[4:8], "big")
    while place + 8 <= len(data):
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "big")
        if end > len(data):
            return
        if data[place : place + 4] == b"MTrk":
            yield end
        place = end


def _free_channel(data: bytes) -> int | None:
    """The first channel that no track uses, drums apart; None if it is not to be found."""
    try:
        tracks = mido.MidiFile(file=io.BytesIO(data), clip=True).tracks
    except Exception:  # it raises many types on files that symusic reads: then we do not know
        return None
    used = {
        message.channel
        for track in tracks
        for message in track
        if not message.is_meta and hasattr(message, "channel")
    }
    return next((c for c in range(16) if c not in used and c != _DRUM_CHANNEL), None)


def _track_chunk(bars: Phrase, start_tick: int, tpq: int, name: str, channel: int | None) -> bytes:
    events: list[tuple[int, int, mido.Message]] = []  # a note ends before the next one starts
    if channel is not None:
        program = mido.Message("program_change", channel=channel, program=0)
        events.append((start_tick, 0, program))
    channel = channel or 0
    start = 0
    for bar in cut_overlaps(bars):
        for note in bar.notes:
            first = start_tick + _ticks(start + note.onset, tpq)
            last = max(start_tick + _ticks(start + note.end, tpq), first + 1)
            on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity)
            off = mido.Message("note_off", channel=channel, note=note.pitch, velocity=64)
            events += ((first, 2, on), (last, 1, off))
        start += bar.meter.steps
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    end_tick = max(start_tick + _ticks(start, tpq), now)
    track.append(mido.MetaMessage("end_of_track", time=end_tick - now))
    file = mido.MidiFile(type=1, ticks_per_beat=tpq, tracks=[track])
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()[14:]


def _ticks(steps: int, tpq: int) -> int:
    return (2 * steps * tpq + STEPS_PER_BEAT) // (2 * STEPS_PER_BEAT)
