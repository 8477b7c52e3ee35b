"""A performance to be played in: MIDI messages with their places, as a person gave them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import resources

import mido

from rwkv_music.errors import MidiFileError
from rwkv_music.music import Meter
from rwkv_music.timebase import beats_to_steps

_SHIPPED = "demo.mid"
_FILE_BPM = 120.0  # what a file without a tempo means


@dataclass(frozen=True, slots=True)
class Performance:
    """`messages` are in order, each with its place in beats from the first bar line; `bars` reach
    to the last note that starts."""

    messages: tuple[tuple[float, bytes], ...]
    meter: Meter
    tempo_bpm: float
    bars: int

    @property
    def end_beat(self) -> float:
        """The bar line after it."""
        return self.bars * self.meter.beats


def shipped_performance() -> Performance:
    """The one that comes with the package."""
    file = resources.files("rwkv_music_daemon").joinpath("data", _SHIPPED)
    return parse_performance(file.read_bytes())


def parse_performance(data: bytes) -> Performance:
    """The channel messages of a MIDI file of one meter and one tempo. Raises MidiFileError."""
    file = mido.MidiFile(file=io.BytesIO(data))
    meter, tempo_bpm = Meter(), _FILE_BPM
    messages: list[tuple[float, bytes]] = []
    last_onset = 0.0
    tick = 0
    for message in mido.merge_tracks(file.tracks):
        tick += message.time
        beat = tick / file.ticks_per_beat
        if message.type == "set_tempo":
            tempo_bpm = mido.tempo2bpm(message.tempo)
        elif message.type == "time_signature":
            meter = Meter(message.numerator, message.denominator)
        elif not message.is_meta and message.type in ("note_on", "note_off", "control_change"):
            messages.append((beat, bytes(message.bytes())))
            if message.type == "note_on" and message.velocity:
                last_onset = beat
    if not messages:
        raise MidiFileError(f"{_SHIPPED}: no notes in it; expected a performance")
    bars = beats_to_steps(last_onset) // meter.steps + 1
    return Performance(tuple(messages), meter, tempo_bpm, bars)
