from __future__ import annotations

import os
from pathlib import Path

import pytest
import score_data
import symusic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from midi_bytes import midi_bytes, raw_file
from music_strategies import phrases

from rwkv_music import midi_files
from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import (
    ReadOptions,
    parse_midi,
    read_midi,
    read_phrase,
    write_phrase,
    write_voices,
)
from rwkv_music.music import Bar, Meter, Note, Phrase, cut_overlaps
from rwkv_music.tokenizer import TempoTracker, decode_phrase, encode_phrase

STEP = 40  # ticks at 480 a quarter
FOUR = Meter(4, 4)


def notes_of(data: bytes, options: ReadOptions | None = None) -> list[tuple[Note, ...]]:
    return [bar.notes for bar in parse_midi(data, options).phrase]


@given(phrases().filter(lambda bars: bars and bars[-1].notes))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_reading_undoes_writing(tmp_path_factory: pytest.TempPathFactory, phrase: Phrase) -> None:
    path = tmp_path_factory.getbasetemp() / "phrase.mid"
    write_phrase(phrase, path)
    read = read_phrase(path)
    tracker = TempoTracker()
    for bar, original in zip(read, cut_overlaps(phrase), strict=True):
        assert (bar.meter, bar.notes) == (original.meter, original.notes)
        assert bar.tempo_bpm == pytest.approx(tracker.settle(original.tempo_bpm))
    assert read_phrase(path, ReadOptions(one_voice_a_key=False)) == read


def test_onsets_round_half_up_also_over_the_bar_line() -> None:
    data = midi_bytes(
        [
            (STEP // 2, 480, 60, 64),  # half a step late
            (STEP // 2 - 1, 480, 61, 64),
            (4 * 480 - STEP // 2, 480, 62, 64),  # half a step before the line
            (4 * 480 - STEP // 2 - 1, 480, 63, 64),
        ]
    )
    first, second = notes_of(data)
    assert first == (Note(0, 61, 64, 12), Note(1, 60, 64, 12), Note(47, 63, 64, 12))
    assert second == (Note(0, 62, 64, 12),)


def test_the_last_note_may_round_into_a_bar_of_its_own() -> None:
    assert notes_of(midi_bytes([(4 * 480 - 1, 480, 60, 64)])) == [(), (Note(0, 60, 64, 12),)]


def test_durations_round_on_their_own() -> None:
    data = midi_bytes(
        [
            (0, 1, 60, 64),
            (19, STEP + STEP // 2, 62, 64),  # half a step: up, whatever its onset did
            (0, STEP + STEP // 2 - 1, 64, 64),
            (0, 480 * 50, 65, 64),
        ]
    )
    durations = {note.pitch: note.duration for note in notes_of(data)[0]}
    assert durations == {60: 1, 62: 2, 64: 1, 65: 96}


def test_what_is_no_piano_is_dropped_and_counted() -> None:
    data = midi_bytes(
        [(0, 480, 60, 64), (0, 480, 60, 80), (480, 480, 20, 64), (480, 480, 109, 64)],
        more_tracks=[
            ("Drums", 0, True, [(0, 480, 36, 64)]),
            ("Voice", 52, False, [(0, 480, 72, 64)]),
            ("Strings", 48, False, [(0, 480, 67, 64), (480, 480, 69, 64)]),
        ],
    )
    reading = parse_midi(
        data,
        ReadOptions(leave_out_names=frozenset({"VOICE"}), leave_out_programs=frozenset({48})),
    )
    assert reading.phrase[0].notes == (Note(0, 60, 80, 12),)
    report = reading.report
    assert (report.notes, report.doubled, report.drums) == (1, 1, 1)
    assert (report.off_keyboard, report.left_out) == (2, 3)
    assert (report.ticks_per_beat, report.end_tick) == (480, 1920)
    everything = parse_midi(data).report
    assert (everything.notes, everything.left_out) == (4, 0)


def test_a_key_struck_again_ends_its_note_unless_overlaps_are_wanted() -> None:
    data = midi_bytes([(0, 960, 60, 64)], more_tracks=[("Left", 0, False, [(480, 480, 60, 64)])])
    assert notes_of(data)[0] == (Note(0, 60, 64, 12), Note(12, 60, 64, 12))
    kept = notes_of(data, ReadOptions(one_voice_a_key=False))[0]
    assert kept == (Note(0, 60, 64, 24), Note(12, 60, 64, 12))


def test_a_bar_has_the_tempo_of_its_line_settled() -> None:
    data = midi_bytes(
        [(bar * 1920, 480, 60, 64) for bar in range(5)],
        tempos=[(0, 120), (960, 60), (1920 + 19, 90), (2 * 1920, 91), (3 * 1920 + 21, 180)],
    )
    tempos = [round(bar.tempo_bpm, 1) for bar in parse_midi(data).phrase]
    assert tempos[0] == 120.0
    assert tempos[1] == tempos[2] == tempos[3] == 89.9, "19 ticks late is on the line; 91 is jitter"
    assert tempos[4] == 179.8, "21 ticks late is not"


def test_a_meter_without_token_is_refused_or_its_bars_are_skipped() -> None:
    data = midi_bytes(
        [(0, 480, 60, 64), (1920, 240, 62, 64), (1920 + 240, 480, 64, 64)],
        signatures=[(0, 4, 4), (1920, 1, 8), (1920 + 240, 4, 4)],
    )
    with pytest.raises(MidiFileError, match=r"bar 2 is in 1/8.*expected one of 1/4"):
        parse_midi(data)
    reading = parse_midi(data, ReadOptions(skip_odd_meters=True))
    assert [bar.notes for bar in reading.phrase] == [(Note(0, 60, 64, 12),), (Note(0, 64, 64, 12),)]
    assert (reading.report.skipped_bars, reading.report.in_odd_meters) == (1, 1)
    assert reading.report.end_tick == 2160 + 1920


def test_any_resolution_will_do() -> None:
    for tpq in (1, 7, 96, 100, 480, 32767):
        data = midi_bytes([(4 * tpq, tpq, 60, 64)], tpq=tpq)
        assert notes_of(data) == [(), (Note(0, 60, 64, 12),)], tpq


def test_a_file_without_notes_is_a_phrase_without_bars() -> None:
    assert parse_midi(midi_bytes()).phrase == ()
    assert parse_midi(midi_bytes([(0, 480, 5, 64)])).phrase == ()


@given(
    st.integers(1, 1000),
    st.lists(
        st.tuples(st.integers(0, 9000), st.integers(1, 13), st.sampled_from([1, 2, 4, 8, 16])),
        max_size=6,
    ),
    st.lists(
        st.tuples(
            st.integers(0, 9000), st.integers(0, 9000), st.integers(0, 127), st.integers(1, 127)
        ),
        max_size=12,
    ),
)
def test_whatever_is_read_has_tokens(
    tpq: int, signatures: list[tuple[int, int, int]], notes: list[tuple[int, int, int, int]]
) -> None:
    data = midi_bytes(notes, tpq=tpq, signatures=signatures)
    reading = parse_midi(data, ReadOptions(skip_odd_meters=True))
    decoded = decode_phrase(encode_phrase(reading.phrase))
    assert [len(bar.notes) for bar in decoded] == [len(bar.notes) for bar in reading.phrase]
    report = reading.report
    counted = report.notes + report.doubled + report.in_odd_meters + report.off_keyboard
    assert counted == symusic.Score.from_midi(data).note_num()


HOSTILE = {
    "nothing": b"",
    "text": b"hello, this is no music",
    "header only": b"MThd\x00\x00\x00\x06\x00\x01",
    "ticks of seconds": raw_file(b"\x00\x90\x3c\x40\x60\x80\x3c\x00", division=0xE728),
    "no ticks": raw_file(b"\x00\x90\x3c\x40\x60\x80\x3c\x00", division=0),
    "format 2": raw_file(b"\x00\x90\x3c\x40\x60\x80\x3c\x00", format_number=2),
    "cut short": raw_file(b"\x00\x90\x3c\x40\x60\x80\x3c\x00")[:-9],
    "running on nothing": raw_file(b"\x00\x3c\x40"),
    "meta beyond the end": raw_file(b"\x00\xff\x03\xff\xff\xff\x7faa"),
    "far away": raw_file(b"\xff\xff\xff\x7f\x90\x3c\x40\x60\x80\x3c\x00"),
    "beyond 2^31": raw_file(
        b"\xff\xff\xff\x7f\xff\x01\x00" * 9 + b"\x00\x90\x3c\x40\x60\x80\x3c\x00"
    ),
    "meter of nothing": raw_file(
        b"\x00\xff\x58\x04\x00\x02\x18\x08\x00\x90\x3c\x40\x60\x80\x3c\x00"
    ),
    "meter of 2^255": raw_file(b"\x00\xff\x58\x04\x04\xff\x18\x08\x00\x90\x3c\x40\x60\x80\x3c\x00"),
    "tempo without end": raw_file(b"\x00\xff\x51\x03\x00\x00\x00\x00\x90\x3c\x40\x60\x80\x3c\x00"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_in_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hostile.mid"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(MidiFileError) as caught:
        read_midi(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ticks of seconds", "SMPTE frames; expected ticks a quarter"),
        ("cut short", "the file is cut off: it ends in the middle of a track"),
        ("tempo without end", "a tempo of .* quarters a minute; expected one from 3 to 10000"),
    ],
)
def test_what_a_player_can_mend_is_said_in_his_words(name: str, said: str) -> None:
    with pytest.raises(MidiFileError, match=said):
        parse_midi(HOSTILE[name])


def test_what_was_dropped_is_told_in_words() -> None:
    drums = [("Drums", 0, True, [(0, 480, 36, 64)])]
    low = [(0, 480, 5, 64), (0, 480, 6, 64)]
    report = parse_midi(midi_bytes(low, more_tracks=drums)).report
    assert report.dropped() == "1 note for drums, 2 notes off the piano's keyboard"
    assert parse_midi(midi_bytes([(0, 480, 60, 64)])).report.dropped() == ""


def test_files_that_are_not_there_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MidiFileError, match="cannot be read"):
        read_midi(tmp_path / "none.mid")
    with pytest.raises(MidiFileError, match="cannot be read"):
        read_midi(tmp_path)
    monkeypatch.setattr(midi_files, "LARGEST_FILE_BYTES", 20)
    path = tmp_path / "large.mid"
    path.write_bytes(midi_bytes([(0, 480, 60, 64)]))
    with pytest.raises(MidiFileError, match="larger than"):
        read_midi(path)
    monkeypatch.setattr(midi_files, "MOST_NOTES", 1)
    with pytest.raises(MidiFileError, match="2 notes, expected at most 1"):
        parse_midi(midi_bytes([(0, 480, 60, 64), (0, 480, 62, 64)]))


def test_voices_are_tracks_with_the_meters_of_the_longest(tmp_path: Path) -> None:
    path = tmp_path / "voices.mid"
    three = Bar(Meter(3, 4), 120.0, (Note(0, 60, 63, 12),))
    other = Bar(Meter(3, 4), 120.0, (Note(12, 72, 63, 12),))
    write_voices({"Player": (three,), "Model": (other, other)}, path)
    first, second = read_phrase(path)
    assert first.notes == three.notes + other.notes
    assert second == other
    left_out = ReadOptions(leave_out_names=frozenset({"model"}))
    assert read_phrase(path, left_out) == (three,)


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.mid"
    path.write_bytes(b"what was there")
    with pytest.raises(MidiFileError, match="cannot be written"):
        write_phrase((), tmp_path / "no folder" / "out.mid")

    def full_disk(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(MidiFileError, match="No space left"):
        write_phrase((Bar(FOUR, 120.0, (Note(0, 60, 63, 1),)),), path)
    assert path.read_bytes() == b"what was there"
    assert os.listdir(tmp_path) == ["out.mid"]


@pytest.mark.skipif(score_data.missing() is not None, reason=str(score_data.missing()))
@pytest.mark.timeout(1800)
def test_real_scores_are_read_whole_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "score.mid"
    read = skipped = 0
    for name, data in score_data.scores():
        reading = parse_midi(data, ReadOptions(skip_odd_meters=True))
        report = reading.report
        read += 1
        skipped += report.skipped_bars > 0
        assert report.drums == report.left_out == 0, name
        write_phrase(reading.phrase, path)
        assert encode_phrase(read_phrase(path)) == encode_phrase(reading.phrase), name
    assert read >= score_data.SAMPLE
    assert skipped <= max(read // 20, 4)
