from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from midi_bytes import midi_bytes, raw_file
from music_strategies import canonical_bars, phrases

from rwkv_music.completion import (
    TRACK_NAME,
    complete_file,
    continue_phrase,
    with_ringing_bars,
)
from rwkv_music.errors import MidiFileError
from rwkv_music.midi_append import append_track
from rwkv_music.midi_files import ReadOptions, parse_midi, read_phrase
from rwkv_music.model.protocol import BarRequest
from rwkv_music.model.scripted import ScriptedModel, ScriptedProposal, ScriptedState
from rwkv_music.music import Bar, Meter, Note, Phrase, cut_overlaps
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import BarGrammar, load_vocabulary
from rwkv_music.tokenizer.grammar import OVER

FOUR = Meter(4, 4)
ONLY_OURS = ReadOptions(leave_out_names=frozenset({"piano", "left", "format 0"}))


class DiceModel(ScriptedModel):
    """Throws dice among all that the grammar allows: any family's worst day."""

    def begin(
        self, state: ScriptedState, request: BarRequest, rng: np.random.Generator
    ) -> ScriptedProposal:
        notes = []
        grammar = BarGrammar(
            load_vocabulary(),
            request.meter,
            first_step=request.first_step,
            needs_note=request.needs_note,
            steps_to_end=request.steps_to_end,
            after=request.after,
        )
        while grammar.stage != OVER:
            allowed = grammar.allowed()
            weights = allowed * np.where(np.arange(len(allowed)) == load_vocabulary().bar, 30, 1.0)
            note = grammar.push(int(rng.choice(len(weights), p=weights / weights.sum())))
            if note is not None:
                notes.append(note)
        return ScriptedProposal(state, request.after, notes)


@given(
    phrases(3).filter(bool) | canonical_bars().map(lambda bar: (bar,)),
    st.integers(1, 9),
    st.integers(0, 2**31 - 1),
)
def test_a_continuation_is_exact_sounds_at_once_and_ends_at_its_end(
    heard: Phrase, bars: int, seed: int
) -> None:
    made = continue_phrase(DiceModel(), heard, bars, Sampling(), seed)
    assert len(made) == bars
    assert {(bar.meter, bar.tempo_bpm) for bar in made} == {(heard[-1].meter, heard[-1].tempo_bpm)}
    assert made[0].notes, "never silent"
    steps = made[0].meter.steps
    for number, bar in enumerate(made):
        assert all(note.end <= (bars - number) * steps for note in bar.notes)
    assert cut_overlaps(made) == made
    assert continue_phrase(DiceModel(), heard, bars, Sampling(), seed) == made


def test_another_seed_is_another_continuation() -> None:
    heard = (Bar(FOUR, 120.0, (Note(0, 60, 63, 12),)),)
    made = {continue_phrase(DiceModel(), heard, 4, Sampling(), seed) for seed in range(5)}
    assert len(made) == 5


def test_progress_counts_every_bar() -> None:
    counted: list[None] = []
    heard = (Bar(FOUR, 120.0, (Note(0, 60, 63, 12),)),) * 3
    continue_phrase(ScriptedModel(), heard, 2, progress=lambda: counted.append(None))
    assert len(counted) == 5


def test_bars_that_a_last_note_sounds_through_belong_to_the_music() -> None:
    def lasting(steps: int) -> int:
        phrase = (Bar(FOUR, 120.0, (Note(24, 60, 63, steps),)),)
        longer = with_ringing_bars(phrase)
        assert longer[:1] == phrase
        assert all(bar == Bar(FOUR, 120.0) for bar in longer[1:])
        return len(longer)

    assert [lasting(steps) for steps in (24, 36, 71, 72, 96)] == [1, 1, 1, 2, 2]
    assert with_ringing_bars(()) == ()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Two bars of 4/4, one of 3/4; a changing tempo; odd ticks; two tracks."""
    path = tmp_path / "song.mid"
    path.write_bytes(
        midi_bytes(
            [(3, 500, 60, 64), (1927, 333, 62, 70), (3841, 480, 64, 50)],
            signatures=[(0, 4, 4), (3840, 3, 4)],
            tempos=[(0, 100), (1000, 97.3), (2000, 140)],
            more_tracks=[("Left", 0, False, [(11, 900, 40, 30)])],
        )
    )
    return path


def tracks(data: bytes) -> list[bytes]:
    """The bytes of each track."""
    found, place = [], 14
    while place < len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "big")
        found.append(data[place : place + 8 + length])
        place += 8 + length
    return found


def test_the_input_is_in_the_output_to_the_byte(song: Path, tmp_path: Path) -> None:
    before = song.read_bytes()
    out = tmp_path / "longer.mid"
    done = complete_file(DiceModel(), song, out, 4, seed=5)
    assert song.read_bytes() == before
    assert tracks(out.read_bytes())[:-1] == tracks(before)
    assert done.start_tick == 2 * 1920 + 1440
    read = read_phrase(out)
    assert read[:3] == done.heard == read_phrase(song)
    assert [bar.meter for bar in read[3:]] == [Meter(3, 4)] * (len(read) - 3)
    ours = read_phrase(out, ONLY_OURS)
    made = done.continuation
    last = max(number for number, bar in enumerate(made) if bar.notes)
    assert [bar.notes for bar in ours[3:]] == [bar.notes for bar in made[: last + 1]]
    assert not any(bar.notes for bar in ours[:3])


def test_the_new_track_has_a_channel_of_its_own_and_ends_with_its_last_bar(
    song: Path, tmp_path: Path
) -> None:
    out = tmp_path / "longer.mid"
    complete_file(ScriptedModel(), song, out, 2)
    file = mido.MidiFile(out)
    *others, ours = file.tracks
    assert ours.name == TRACK_NAME
    channels = {message.channel for message in ours if message.type.startswith("note")}
    theirs = {m.channel for track in others for m in track if m.type.startswith("note")}
    assert len(channels) == 1
    assert not channels & theirs
    assert sum(message.time for message in ours) == 2 * 1920 + 1440 + 2 * 1440
    sounding = 0
    for message in ours:
        sounding += {"note_on": 1, "note_off": -1}.get(message.type, 0)
        assert sounding in (0, 1)
    assert sounding == 0


def test_the_same_seed_writes_the_same_file(song: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.mid", tmp_path / "2.mid"
    complete_file(DiceModel(), song, first, 3, seed=9)
    complete_file(DiceModel(), song, second, 3, seed=9)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("way", ["same", "link", "hard link"])
def test_the_input_is_never_overwritten(song: Path, tmp_path: Path, way: str) -> None:
    before = song.read_bytes()
    out = tmp_path / "other.mid"
    if way == "same":
        out = song.parent / "." / song.name
    elif way == "link":
        out.symlink_to(song)
    else:
        out.hardlink_to(song)
    with pytest.raises(MidiFileError, match="would overwrite the input"):
        complete_file(ScriptedModel(), song, out, 4)
    assert song.read_bytes() == before


def test_nothing_is_written_when_there_is_nothing_to_continue(tmp_path: Path) -> None:
    empty, out = tmp_path / "empty.mid", tmp_path / "out.mid"
    empty.write_bytes(midi_bytes())
    with pytest.raises(MidiFileError, match=r"empty\.mid: no notes to continue"):
        complete_file(ScriptedModel(), empty, out, 4)
    with pytest.raises(MidiFileError, match="no folder"):
        complete_file(ScriptedModel(), empty, tmp_path / "none" / "out.mid", 4)
    assert not out.exists()


def test_a_file_of_format_0_becomes_one_of_format_1(tmp_path: Path) -> None:
    track = b"\x00\xff\x03\x08format 0\x00\x90\x3c\x40\x83\x60\x80\x3c\x00"
    song, out = tmp_path / "zero.mid", tmp_path / "out.mid"
    song.write_bytes(raw_file(track, format_number=0))
    done = complete_file(ScriptedModel(), song, out, 1)
    file = mido.MidiFile(out)
    assert (file.type, len(file.tracks)) == (1, 2)
    assert tracks(out.read_bytes())[0] == tracks(song.read_bytes())[0]
    assert read_phrase(out, ONLY_OURS)[1].notes == done.continuation[0].notes


def test_what_stands_around_the_tracks_stays() -> None:
    track = b"\x00\x90\x3c\x40\x60\x80\x3c\x00"
    plain = raw_file(track)
    foreign = b"XFIH\x00\x00\x00\x02ab"
    tail = b"trailing bytes of another program"
    data = plain[:14] + foreign + plain[14:] + tail
    bars = (Bar(FOUR, 120.0, (Note(0, 60, 63, 12),)),)
    longer = append_track(data, bars, 1920, "new")
    assert longer[12:14] == data[12:14]
    assert longer[14:].startswith(data[14 : -len(tail)])
    assert longer.endswith(tail)
    assert [bar.notes for bar in parse_midi(longer).phrase][1] == bars[0].notes


def test_a_full_file_gets_its_track_without_a_channel_of_its_own() -> None:
    every = b"".join(bytes((0, 0xC0 | channel, 5)) for channel in range(16))
    data = raw_file(every + b"\x00\x90\x3c\x40\x60\x80\x3c\x00")
    longer = append_track(data, (Bar(FOUR, 120.0, (Note(0, 60, 63, 12),)),), 1920, "new")
    ours = mido.MidiFile(file=io.BytesIO(longer)).tracks[-1]
    assert not [message for message in ours if message.type == "program_change"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no file", "MThd"),
        (raw_file(b"", format_number=2), "format 2"),
        (raw_file(b"", division=0xE728), "ticks a quarter"),
        (raw_file(), "0 tracks"),
    ],
)
def test_files_that_cannot_take_a_track(data: bytes, reason: str) -> None:
    with pytest.raises(MidiFileError, match=reason):
        append_track(data, (), 0, "new")
