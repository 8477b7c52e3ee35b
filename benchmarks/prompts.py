"""Twelve beginnings, two in each of six manners, written for this project: what the gallery's
completions go on from. None is from a piece of the training data, or of anybody's."""

from __future__ import annotations

from dataclasses import dataclass

from rwkv_music.music import Meter, Phrase

from .notation import Voice, played


@dataclass(frozen=True, slots=True)
class Prompt:
    """Eight bars to begin with. `name` is the file's, `manner` what it sounds like."""

    name: str
    title: str
    manner: str
    meter: Meter
    tempo_bpm: float
    voices: tuple[Voice, ...]

    def played(self) -> Phrase:
        return played(self.voices, self.meter, self.tempo_bpm)


def _broken(*chords: str, order: str, beats: str) -> str:
    """A bar for each chord, its pitches (lowest 0) in the given order, all of one length."""
    bars = []
    for chord in chords:
        pitches = chord.split()
        first, *rest = (pitches[int(place)] for place in order)
        bars.append(" ".join([f"{first}:{beats}", *rest]))
    return " | ".join(bars)


def _waltz(*chords: str) -> str:
    """Bass, chord, chord: a bar for each; the first pitch is the bass."""
    return " | ".join(
        f"{bass}:1 {'+'.join(rest)} {'+'.join(rest)}"
        for bass, *rest in (chord.split() for chord in chords)
    )


_FOUR, _THREE, _TWO, _SIX = Meter(4, 4), Meter(3, 4), Meter(2, 4), Meter(6, 8)

PROMPTS = (
    Prompt(
        "ballad", "Ballad in C", "pop", _FOUR, 72.0,
        (
            Voice(
                "E4+G4:3/2 G4:1/2 C5:1 B4 | D4+G4:3/2 B4:1/2 D5:2 | C4+E4+C5:3/2 B4:1/2 A4:1 E4"
                " | F4+A4:3 A4:1/2 B4 | C5+E4:3/2 D5:1/2 E5:1 G5 | F4+A4+F5:3/2 E5:1/2 D5:1 C5"
                " | G4+C5+D5:2 B4:1 D5 | G4+B4+D5:3 r:1",
                74,
            ),
            Voice(
                _broken(
                    "C3 G3 C4 E4", "B2 G3 B3 D4", "A2 E3 A3 C4", "F2 C3 F3 A3",
                    "E3 G3 C4 E4", "F2 C3 F3 A3", "G2 D3 G3 C4", "G2 D3 G3 B3",
                    order="01232123", beats="1/2",
                ),
                56,
            ),
        ),
    ),
    Prompt(
        "night_drive", "Night drive", "pop", _FOUR, 112.0,
        (
            Voice(
                "r:1/2 E5:1/2 E5 D5 C5:1 A4 | r:1/2 C5:1/2 C5 D5 C5:1 A4 | r:1/2 E5 E5 G5 E5:1 D5"
                " | D5:3/2 B4:1/2 D5:2 | r:1/2 E5:1/2 E5 D5 C5:1 E5 | F5:3/2 E5:1/2 C5:1 A4"
                " | G4:1/2 C5 D5 E5 G5:1 E5 | D5:4",
                80,
            ),
            Voice(
                "A3+C4+E4:3/2 A3+C4+E4:3/2 A3+C4+E4:1 | A3+C4+F4:3/2 A3+C4+F4:3/2 A3+C4+F4:1"
                " | G3+C4+E4:3/2 G3+C4+E4:3/2 G3+C4+E4:1 | G3+B3+D4:3/2 G3+B3+D4:3/2 G3+B3+D4:1"
                " | A3+C4+E4:3/2 A3+C4+E4:3/2 A3+C4+E4:1 | A3+C4+F4:3/2 A3+C4+F4:3/2 A3+C4+F4:1"
                " | G3+C4+E4:3/2 G3+C4+E4:3/2 G3+C4+E4:1 | G3+B3+D4:3/2 G3+B3+D4:3/2 G3+B3+D4:1",
                62,
            ),
            Voice(
                "A2:3/2 A2:1/2 A2:1 E2 | F2:3/2 F2:1/2 F2:1 C3 | C3:3/2 C3:1/2 C3:1 G2"
                " | G2:3/2 G2:1/2 G2:1 B2 | A2:3/2 A2:1/2 A2:1 E2 | F2:3/2 F2:1/2 F2:1 C3"
                " | C3:3/2 C3:1/2 C3:1 G2 | G2:3/2 G2:1/2 G2:1 G#2",
                70,
            ),
        ),
    ),
    Prompt(
        "sonatina", "Sonatina in G", "classical", _FOUR, 126.0,
        (
            Voice(
                "D5:1 B4:1/2 D5 G5:1 D5 | E5:1/2 C5 A4 C5 B4:2 | A4:1/2 B4 C5 A4 D5:1 C5"
                " | B4:1/2 A4 G4 B4 A4:2 | D5:1 B4:1/2 D5 G5:1 B5 | A5:1/2 G5 F#5 E5 D5:1 C#5"
                " | D5:1/2 E5 F#5 G5 A5 F#5 E5 C#5 | D5:1 F#4 D4 r",
                78,
            ),
            Voice(
                _broken(
                    "G3 B3 D4", "G3 C4 E4", "F#3 A3 D4", "G3 B3 D4",
                    "G3 B3 D4", "A3 C#4 E4", "A3 D4 F#4",
                    order="02120212", beats="1/2",
                )
                + " | D3:1 D3+F#3+A3 D3 r",
                58,
            ),
        ),
    ),
    Prompt(
        "minuet", "Minuet in D minor", "classical", _THREE, 112.0,
        (
            Voice(
                "A4:1 D5 F5 | E5:1/2 D5 C#5:1 A4 | Bb4:1 G5 E5 | F5:1/2 E5 D5:2"
                " | A5:1 G5 F5 | E5:1/2 D5 E5 F5 G5:1 | F5:1/2 E5 D5:1 C#5 | D5:3",
                76,
            ),
            Voice(
                "D3:1 F3 D3 | A3:1 G3 F3 | G3:1 E3 C#3 | D3:1 A3 D4"
                " | F3:1 E3 D3 | C3:1 B2 C3 | A2:1 F3 A3 | D3:1 A2 D2",
                64,
            ),
        ),
    ),
    Prompt(
        "waltz", "Waltz in A minor", "romantic", _THREE, 144.0,
        (
            Voice(
                "E5:2 D#5:1/2 E5 | C6:2 B5:1 | A5:1/2 G#5 A5:1 E5 | F5:3"
                " | D5:2 C#5:1/2 D5 | B5:2 A5:1 | G#5:1/2 A5 B5:1 E5 | C5:3",
                80,
            ),
            Voice(
                _waltz(
                    "A2 E3 A3 C4", "A2 E3 A3 C4", "C3 E3 A3 C4", "D3 F3 A3 D4",
                    "D3 F3 A3 D4", "B2 F3 G#3 D4", "E2 E3 G#3 D4", "A2 E3 A3 C4",
                ),
                56,
            ),
        ),
    ),
    Prompt(
        "nocturne", "Nocturne in E-flat", "romantic", _SIX, 66.0,
        (
            Voice(
                "Bb4:1 G5:1/2 F5:1 Eb5:1/2 | D5:3/2 F5 | C5:1 Ab5:1/2 G5:1 F5:1/2 | Eb5:3/2 G5"
                " | Bb5:1 Ab5:1/2 G5:1 Eb5:1/2 | F5:1/2 G5 Ab5 C6:3/2"
                " | Bb5:1 G5:1/2 F5:1 D5:1/2 | Eb5:5/2 r:1/2",
                78,
            ),
            Voice(
                _broken(
                    "Eb2 Bb2 G3 Bb3", "Bb1 Bb2 F3 Ab3", "Ab2 Eb3 Ab3 C4", "Eb2 Bb2 G3 Bb3",
                    "Eb2 Bb2 G3 Bb3", "Ab2 Eb3 Ab3 C4", "Bb1 Bb2 F3 Ab3", "Eb2 Bb2 G3 Bb3",
                    order="012321", beats="1/2",
                ),
                52,
            ),
        ),
    ),
    Prompt(
        "evening_song", "Evening song", "song", _FOUR, 84.0,
        (
            Voice(
                "C5:2 A4:1 C5 | D5:1 C5 Bb4:2 | A4:3/2 Bb4:1/2 C5:1 F5 | E5:1 D5 C5:2"
                " | F5:2 E5:1 D5 | C5:1 A4 Bb4:2 | A4:1 C5 G4:3/2 A4:1/2 | F4:3 r:1",
                76,
            ),
            Voice(
                _broken(
                    "F3 A3 C4", "G3 Bb3 D4", "F3 A3 C4", "G3 C4 E4",
                    "F3 Bb3 D4", "G3 Bb3 E4", "F3 A3 C4", "F3 A3 C4",
                    order="012012012012", beats="1/3",
                ),
                52,
            ),
            Voice(
                "F2:4 | G2:4 | F2:2 A2 | C3:4 | Bb2:2 G2 | C3:4 | C3:4 | F2:3 r:1",
                56,
            ),
        ),
    ),
    Prompt(
        "lullaby", "Lullaby in G", "song", _THREE, 88.0,
        (
            Voice(
                "B4:1 D5 B4 | A4:2 G4:1 | E4:1 G4 E5 | D5:3 | C5:1 E5 D5 | B4:2 G4:1"
                " | A4:1 B4 A4 | G4:3",
                68,
            ),
            Voice(
                "G3:3 | D3:2 B2:1 | C3:3 | B2:3 | A2:2 C3:1 | D3:2 E3:1 | D3:3 | G2:3",
                56,
            ),
            Voice(
                "r:1 D4+G4 D4+G4 | r:1 C4+F#4 r | r:1 G3+C4 G3+C4 | r:1 G3+D4 G3+D4"
                " | r:1 E4+G4 F#4+A4 | r:1 G3+B3 B3+E4 | r:1 C4+F#4 C4+F#4 | r:1 B3+D4 B3+D4",
                50,
            ),
        ),
    ),
    Prompt(
        "mazurka", "Country dance in B minor", "dance", _THREE, 138.0,
        (
            Voice(
                "F#5:3/4 E5:1/4 D5:1 F#5 | E5:3/4 D5:1/4 C#5:1 E5 | D5:3/4 C#5:1/4 B4:1 D5"
                " | C#5:3/4 B4:1/4 A#4:1 F#4 | F#5:3/4 E5:1/4 D5:1 F#5 | G5:3/4 F#5:1/4 E5:1 G5"
                " | F#5:1/2 E5 D5 C#5 B4 A#4 | B4:2 r:1",
                82,
            ),
            Voice(
                _waltz(
                    "B2 F#3 B3 D4", "F#2 F#3 A#3 C#4", "B2 F#3 B3 D4", "F#2 F#3 A#3 C#4",
                    "B2 F#3 B3 D4", "E2 G3 B3 E4", "F#2 F#3 A#3 E4", "B2 F#3 B3 D4",
                ),
                62,
            ),
        ),
    ),
    Prompt(
        "jig", "Jig in D", "dance", _SIX, 168.0,
        (
            Voice(
                "D5:1/2 E5 F#5 A5 F#5 D5 | E5 F#5 G5 B5 G5 E5 | A5 F#5 D5 F#5 E5 D5"
                " | C#5 D5 E5 A4:3/2 | D5:1/2 E5 F#5 A5 F#5 D5 | G5 F#5 G5 B5 A5 G5"
                " | F#5 A5 F#5 E5 C#5 E5 | D5:3/2 A4:1 r:1/2",
                80,
            ),
            Voice(
                "D3:1 A3:1/2 F#3:1 A3:1/2 | E3:1 B3:1/2 G3:1 B3:1/2 | F#3:1 A3:1/2 D3:1 A3:1/2"
                " | A2:1 E3:1/2 A3:3/2 | D3:1 A3:1/2 F#3:1 A3:1/2 | G3:1 B3:1/2 E3:1 G3:1/2"
                " | A3:1 D4:1/2 A3:1 G3:1/2 | D3:3/2 D2:1 r:1/2",
                66,
            ),
        ),
    ),
    Prompt(
        "hymn", "Hymn in G", "hymn", _FOUR, 80.0,
        (
            Voice(
                "B4:1 A4 G4 B4 | C5:1 B4 A4:2 | D5:1 C5 B4 A4 | B4:1 A4 G4:2"
                " | E4:1 G4 A4 B4 | C5:1 B4 A4:2 | B4:1 D5 C5 A4 | G4:4",
                74,
            ),
            Voice(
                "G4:1 F#4 D4 G4 | E4:1 G4 F#4:2 | G4:1 G4 G4 E4 | G4:1 F#4 D4:2"
                " | C4:1 D4 F#4 G4 | G4:1 G4 F#4:2 | G4:1 G4 E4 F#4 | D4:4",
                64,
            ),
            Voice(
                "D4:1 D4 B3 D4 | C4:1 D4 D4:2 | B3:1 E4 D4 C4 | D4:1 C4 B3:2"
                " | G3:1 B3 D4 D4 | E4:1 D4 D4:2 | D4:1 B3 C4 C4 | B3:4",
                62,
            ),
            Voice(
                "G3:1 D3 G3 G3 | A3:1 G3 D3:2 | G3:1 C3 G3 A3 | D3:1 D3 G2:2"
                " | C3:1 B2 D3 G3 | C3:1 G3 D3:2 | G3:1 G2 A2 D3 | G2:4",
                66,
            ),
        ),
    ),
    Prompt(
        "procession", "Procession in E-flat", "hymn", _TWO, 76.0,
        (
            Voice(
                "G4+Bb4+Eb5:3/4 F5:1/4 G5:1 | Ab4+C5+F5:1 Eb5 | Bb4+D5:3/4 Eb5:1/4 F5:1"
                " | G4+Bb4+Eb5:2 | C5+G5:3/4 F5:1/4 Eb5:1 | F4+Ab4+D5:1 F5 | G5:1/2 Eb5 F5 D5"
                " | G4+Bb4+Eb5:2",
                80,
            ),
            Voice(
                "Eb2+Eb3:1 Bb2 | Ab2+Eb3:1 Ab2 | Bb2+F3:1 Bb2 | Eb2+Bb2:1 G2"
                " | C3+G3:1 C3 | Bb2+F3:1 Ab2 | G2:1 Bb2 | Eb2+Bb2:2",
                68,
            ),
        ),
    ),
)  # fmt: skip
