"""Composes daemon/data/demo.mid, the performance that `demo` plays: written for this project.

An eight-bar period in F major at 100 quarters a minute. The first half falls through F, C/E, Dm7
to a half cadence; the second rises to its peak in bar 6, cadences in bar 8, and leaves it on a
dominant upbeat, so that there is something to continue. `python demo_composition.py` writes the
file anew; a test holds it to this text.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

import symusic

TEMPO_BPM = 100
TICKS_PER_BEAT = 480
FILE = Path(__file__).parents[2] / "daemon" / "data" / "demo.mid"
_TICKS_PER_MS = TEMPO_BPM * TICKS_PER_BEAT / 60_000

# Each bar as `beat pitch beats`; the melody sings, the inner voices lie under it.
MELODY = """
0 A4 1, 1 C5 .5, 1.5 F5 1.5, 3 E5 .5, 3.5 D5 .5
0 C5 2, 2 G4 .5, 2.5 A4 .5, 3 Bb4 .5, 3.5 C5 .5
0 A4 1, 1 D5 .5, 1.5 G5 1, 2.5 F5 .5, 3 E5 .5, 3.5 F5 .5
0 D5 1.5, 1.5 C5 .5, 2 E5 1, 3 C5 .5, 3.5 Bb4 .5
0 A4 .75, .75 Bb4 .25, 1 C5 .5, 1.5 F5 1.5, 3 G5 .5, 3.5 A5 .5
0 A5 1.5, 1.5 G5 .5, 2 F5 1, 3 D5 .5, 3.5 F5 .5
0 F5 .5, .5 D5 .5, 1 Bb4 .5, 1.5 D5 .5, 2 C5 1, 3 Bb4 .5, 3.5 G4 .5
0 A4 2.5, 3 C5 .5, 3.5 E5 .5
"""
INNER = """
0 F4 1.5, 1.5 A4 1.5
0 E4 2, 0 G4 2
0 F4 1.5, 1.5 C5 1.5
0 F4 2, 0 A4 2, 2 G4 2
0 F4 1.5, 1.5 A4 1.5
0 D5 2, 0 F5 1.5, 2 A4 2
0 G4 2, 2 F4 1, 3 E4 1
0 F4 2.5, 3 E4 .5, 3.5 G4 .5
"""
# Broken chords in quavers; `|` is a change of harmony, up to which the fingers hold them.
LEFT = """
F2 C3 F3 A3 C4 A3 F3 C3
E2 C3 G3 C4 G3 E3 G3 C3
D2 A2 F3 A3 C4 A3 F3 A2
Bb1 F2 D3 A3 | C2 G2 E3 G3
A2 C3 F3 A3 C4 A3 F3 C3
Bb2 F3 A3 D4 A3 F3 A3 D4
G2 D3 F3 Bb3 | C2 G2 C3 G3
F2 C3 F3 A3 C4 A3 | C3 Bb3
"""
# How loud the melody is at the start of each bar and at the end: one arch over the period.
LOUDNESS = (74, 78, 82, 80, 79, 96, 86, 74, 80)
_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class Written:
    """A note as composed: voice, beats from the start, beats long."""

    voice: str
    beat: float
    pitch: int
    beats: float


def pitch(name: str) -> int:
    """MIDI pitch of a name such as Bb4."""
    match = re.fullmatch(r"([A-G])(b?)(\d)", name)
    if match is None:
        raise ValueError(f"not a pitch: {name!r}")
    return 12 * (int(match[3]) + 1) + _CLASSES[match[1]] - len(match[2])


def composition() -> list[Written]:
    """All notes, exactly on their beats; a key struck again ends its note."""
    notes: list[Written] = []
    for voice, text in (("melody", MELODY), ("inner", INNER)):
        for bar, line in enumerate(text.split("\n")[1:-1]):
            for item in line.split(","):
                beat, name, beats = item.split()
                notes.append(Written(voice, 4 * bar + float(beat), pitch(name), float(beats)))
    for bar, line in enumerate(LEFT.split("\n")[1:-1]):
        beat = 4.0 * bar
        for harmony in line.split("|"):
            names = harmony.split()
            end = beat + len(names) / 2
            for place, name in enumerate(names):
                voice = "left" if place else "bass"
                notes.append(Written(voice, beat, pitch(name), end - beat))
                beat += 0.5
    return _one_voice_a_key(sorted(notes, key=lambda note: (note.beat, note.pitch)))


def performance() -> symusic.Score:
    """The composition as a person might play it: leaning, breathing, never quite together."""
    rng = random.Random(8)
    score = symusic.Score(TICKS_PER_BEAT)
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.tempos.append(symusic.Tempo(0, TEMPO_BPM))
    right, left = (symusic.Track(name, 0, False) for name in ("Right hand", "Left hand"))
    for note in composition():
        lean_ms = {"melody": -4, "inner": 5, "bass": 0, "left": 3}[note.voice]
        off_ms = min(max(lean_ms + rng.gauss(0, 4.5), -15), 15)
        onset = max(round(note.beat * TICKS_PER_BEAT + off_ms * _TICKS_PER_MS), 0)
        touch = rng.uniform(0.93, 0.99) if note.beats <= 1 else rng.uniform(0.96, 0.985)
        duration = round(note.beats * touch * TICKS_PER_BEAT)
        track = right if note.voice in ("melody", "inner") else left
        track.notes.append(symusic.Note(onset, duration, note.pitch, _velocity(note, rng)))
    score.tracks.extend([right, left])
    return score


def _one_voice_a_key(notes: list[Written]) -> list[Written]:
    cut: list[Written] = []
    for number, note in enumerate(notes):
        again = (n.beat for n in notes[number + 1 :] if n.pitch == note.pitch)
        beats = min(note.beats, next(again, float("inf")) - note.beat)
        cut.append(Written(note.voice, note.beat, note.pitch, beats))
    return cut


def _velocity(note: Written, rng: random.Random) -> int:
    bar, beat = divmod(note.beat, 4)
    start, end = LOUDNESS[int(bar)], LOUDNESS[int(bar) + 1]
    sung = start + (end - start) * beat / 4
    metric = {0.0: 3, 2.0: 1}.get(beat, 0 if beat.is_integer() else -3)
    share = {"melody": 1.0, "inner": 0.70, "bass": 0.78, "left": 0.62}[note.voice]
    return round(min(max(sung * share + metric + rng.gauss(0, 2.0), 1), 127))


if __name__ == "__main__":
    FILE.write_bytes(performance().dumps_midi())
    print(FILE)
