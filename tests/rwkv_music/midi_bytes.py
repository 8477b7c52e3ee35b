"""MIDI files for tests, said in a line."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import symusic

Notes = Iterable[tuple[int, int, int, int]]  # tick, ticks, pitch, velocity


def midi_bytes(
    notes: Notes = (),
    *,
    tpq: int = 480,
    signatures: Iterable[tuple[int, int, int]] = (),
    tempos: Iterable[tuple[int, float]] = (),
    more_tracks: Iterable[tuple[str, int, bool, Notes]] = (),
) -> bytes:
    """A file with the notes on a track `Piano`; more_tracks: name, program, drums, notes."""
    score: Any = symusic.Score(tpq)
    for tick, numerator, denominator in signatures:
        score.time_signatures.append(symusic.TimeSignature(tick, numerator, denominator))
    for tick, bpm in tempos:
        score.tempos.append(symusic.Tempo(tick, bpm))
    for name, program, drums, its_notes in [("Piano", 0, False, notes), *more_tracks]:
        track: Any = symusic.Track(name, program, drums)
        for note in its_notes:
            track.notes.append(symusic.Note(*note))
        score.tracks.append(track)
    data: bytes = score.dumps_midi()
    return data


def raw_file(*tracks: bytes, format_number: int = 1, division: int = 480) -> bytes:
    """A file from the bytes of its tracks, an end of track put to each."""
    chunks = [track + b"\x00\xff\x2f\x00" for track in tracks]
    header = b"MThd" + struct.pack(">IHHH", 6, format_number, len(tracks), division)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(c)) + c for c in chunks)
