"""Standard MIDI files to phrases and back, through symusic.

A file's tracks become one piano: drums and pitches off the keyboard are dropped and counted. The
bars are those of the file's meter map. symusic is native code and takes a moment to load, so it is
imported when the first file is read or written; a stranger's file is best read with
`midi_isolated`, where a parser that dies takes nothing with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .atomic_file import replacing
from .bar_lines import Signature, bar_lines
from .errors import MidiFileError
from .midi_grid import Struck, Tempos, bars_on_grid
from .music import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    STEPS_PER_BEAT,
    Bar,
    Phrase,
    canonical,
    cut_overlaps,
)

WRITTEN_TICKS_PER_BEAT = 480
LARGEST_FILE_BYTES = 16 << 20
MOST_NOTES = 500_000


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What of a file is wanted.

    leave_out_names: tracks of these names (in any case) are not read; leave_out_programs: nor
    those of these General MIDI programs (0-127). skip_odd_meters: bars in a meter that has no
    token are left out instead of refusing the file. one_voice_a_key: a key struck again ends its
    earlier note, as on a keyboard; without it, overlaps of one pitch stay.
    """

    leave_out_names: frozenset[str] = frozenset()
    leave_out_programs: frozenset[int] = frozenset()
    skip_odd_meters: bool = False
    one_voice_a_key: bool = True


@dataclass(frozen=True, slots=True)
class ReadReport:
    """What became of a file's notes and bars, and where the phrase ends in it."""

    notes: int  # in the phrase
    left_out: int  # in tracks that were not wanted
    drums: int
    off_keyboard: int
    doubled: int  # a second note of one pitch on one step
    in_odd_meters: int  # in bars that were skipped
    skipped_bars: int
    ticks_per_beat: int
    end_tick: int  # the line after the last bar

    def dropped(self) -> str:
        """What of the file is not in the phrase, in words; empty when all of it is."""
        kinds = {
            "in tracks that were left out": self.left_out,
            "for drums": self.drums,
            "off the piano's keyboard": self.off_keyboard,
            "that double another": self.doubled,
            "in bars of a meter that the model does not know": self.in_odd_meters,
        }
        told = [f"{n} {'note' if n == 1 else 'notes'} {kind}" for kind, n in kinds.items() if n]
        return ", ".join(told)


@dataclass(frozen=True, slots=True)
class Reading:
    phrase: Phrase
    report: ReadReport


def read_phrase(path: str | os.PathLike[str], options: ReadOptions | None = None) -> Phrase:
    """A file's music, from its first bar to the last in which a note starts.

    Raises MidiFileError for what is no MIDI file, or cannot be said in tokens.
    """
    return read_midi(path, options).phrase


def read_midi(path: str | os.PathLike[str], options: ReadOptions | None = None) -> Reading:
    """`read_phrase`, and what was dropped on the way. Raises MidiFileError."""
    try:
        return parse_midi(read_bytes(path), options)
    except MidiFileError as error:
        message = str(error)
        raise error if str(path) in message else MidiFileError(f"{path}: {message}") from None


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes, if it is of a size that a MIDI file can have. Raises MidiFileError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise MidiFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise MidiFileError(f"{path}: larger than {LARGEST_FILE_BYTES >> 20} MiB, not read")
    return data


def parse_midi(data: bytes, options: ReadOptions | None = None) -> Reading:
    """The music in the bytes of a file. Raises MidiFileError."""
    options = options or ReadOptions()
    score = parse_score(data)
    struck, dropped = _struck_notes(score, options)
    tpq = int(score.tpq)
    signatures = [
        Signature(int(s.time), int(s.numerator), int(s.denominator)) for s in score.time_signatures
    ]
    lines = bar_lines(signatures, tpq, max((note[0] for note in struck), default=-1))
    tempos = Tempos(((int(e.time), float(e.qpm)) for e in score.tempos), tpq)
    bars, skipped = bars_on_grid(lines, struck, tempos, tpq, options.skip_odd_meters)
    tidy = cut_overlaps if options.one_voice_a_key else _without_doubles
    phrase = tidy(bars)
    heard = sum(len(bar.notes) for bar in phrase)
    end = lines[-1].end_unit if lines else 0
    return Reading(
        phrase,
        replace(
            dropped,
            notes=heard,
            doubled=len(struck) - skipped - heard,
            in_odd_meters=skipped,
            skipped_bars=len(lines) - len(bars),
            ticks_per_beat=tpq,
            end_tick=-(-end // STEPS_PER_BEAT),
        ),
    )


def write_phrase(bars: Phrase, path: str | os.PathLike[str], name: str = "Piano") -> None:
    """Write one voice as a MIDI file, all at once or not at all. Raises MidiFileError."""
    write_voices({name: bars}, path)


def write_voices(voices: Mapping[str, Phrase], path: str | os.PathLike[str]) -> None:
    """Write a track for each voice; meters and tempos are those of the longest.

    Raises MidiFileError.
    """
    write_atomically(path, to_score(voices).dumps_midi())


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Put a file in its place in one step: it is never seen half written. Raises MidiFileError."""
    try:
        with replacing(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise MidiFileError(f"{path}: cannot be written: {error.strerror or error}") from error


def to_score(voices: Mapping[str, Phrase]) -> Any:
    """The voices as a symusic Score in ticks, a track for each, on which no pitch overlaps itself:
    a MIDI file could not tell which note ends."""
    import symusic

    ticks = WRITTEN_TICKS_PER_BEAT // STEPS_PER_BEAT
    score: Any = symusic.Score(WRITTEN_TICKS_PER_BEAT)
    start, meter, tempo_bpm = 0, None, None
    for bar in max(voices.values(), key=len, default=()):
        if bar.meter != meter:
            meter = bar.meter
            score.time_signatures.append(
                symusic.TimeSignature(start * ticks, meter.numerator, meter.denominator)
            )
        if bar.tempo_bpm != tempo_bpm:
            tempo_bpm = bar.tempo_bpm
            score.tempos.append(symusic.Tempo(start * ticks, tempo_bpm))
        start += bar.meter.steps
    for name, bars in voices.items():
        track: Any = symusic.Track(name, program=0, is_drum=False)
        start = 0
        for bar in cut_overlaps(bars):
            for note in bar.notes:
                onset = (start + note.onset) * ticks
                track.notes.append(
                    symusic.Note(onset, note.duration * ticks, note.pitch, note.velocity)
                )
            start += bar.meter.steps
        score.tracks.append(track)
    return score


def parse_score(data: bytes) -> Any:
    """A symusic Score, in ticks, of the bytes of a file. Raises MidiFileError."""
    if data[:4] != b"MThd":
        raise MidiFileError("not a standard MIDI file: it does not begin with MThd")
    if data[8:10] == b"\x00\x02":
        raise MidiFileError("a MIDI file of format 2, separate sequences; expected format 0 or 1")
    if data[12:13] >= b"\x80":
        raise MidiFileError("its time is counted in SMPTE frames; expected ticks a quarter note")
    import symusic

    try:
        score: Any = symusic.Score.from_midi(data)
    except Exception as error:  # the parser raises what its C++ throws, of no common type
        if _is_cut_off(data):
            reason = "it ends in the middle of a track; copy or download it again"
            raise MidiFileError(f"the file is cut off: {reason}") from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MidiFileError(f"not a MIDI file that can be read: {reason}") from error
    if not 0 < score.tpq < 1 << 15:
        raise MidiFileError(f"ticks a beat: got {score.tpq}, expected 1 to 32767")
    notes = score.note_num()
    if notes > MOST_NOTES:
        raise MidiFileError(f"{notes} notes, expected at most {MOST_NOTES}")
    return score


def _is_cut_off(data: bytes) -> bool:
    """Whether a chunk is longer than what is there."""
    place = 0
    while place + 8 <= len(data):
        place += 8 + int.from_bytes(data[place + 4 : place + 8], "big")
    return place > len(data)


def _struck_notes(score: Any, options: ReadOptions) -> tuple[list[Struck], ReadReport]:
    """Every note that is wanted, and what was not."""
    names = {name.casefold() for name in options.leave_out_names}
    struck: list[Struck] = []
    drums = left_out = off_keyboard = 0
    for track in score.tracks:
        if track.is_drum:
            drums += len(track.notes)
        elif track.name.casefold() in names or track.program in options.leave_out_programs:
            left_out += len(track.notes)
        else:
            arrays = track.notes.numpy()
            columns = [arrays[key].tolist() for key in ("time", "duration", "pitch", "velocity")]
            for note in zip(*columns, strict=True):
                time, duration, pitch, velocity = note
                if time < 0 or duration < 0:
                    raise MidiFileError("a note is more than 2^31 ticks from the start")
                if not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
                    off_keyboard += 1
                elif 1 <= velocity <= 127:
                    struck.append(note)
    struck.sort()
    return struck, ReadReport(0, left_out, drums, off_keyboard, 0, 0, 0, 0, 0)


def _without_doubles(bars: list[Bar]) -> Phrase:
    return tuple(replace(bar, notes=canonical(bar.notes)) for bar in bars)
