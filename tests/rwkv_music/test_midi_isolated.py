from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from midi_bytes import midi_bytes

from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import Reading, ReadOptions, parse_midi, read_midi
from rwkv_music.midi_isolated import IsolatedReader, PathLike, read_isolated


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.mid"
    path.write_bytes(midi_bytes([(0, 480, 60, 64), (1920, 480, 62, 64)]))
    return path


def crashes(path: PathLike, options: ReadOptions | None = None) -> Reading:
    """Reads as the real one does, but dies or hangs on files of those names."""
    if "crash" in str(path):
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in str(path):
        time.sleep(60)
    return read_midi(path, options)


def test_it_reads_what_the_plain_reader_reads(good: Path) -> None:
    options = ReadOptions(skip_odd_meters=True)
    assert read_isolated(good, options) == read_midi(good, options)


def test_an_error_comes_over_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(MidiFileError, match=r"none\.mid: cannot be read"):
        read_isolated(tmp_path / "none.mid")


def test_a_parser_that_dies_or_hangs_is_an_error_and_the_next_file_is_read(good: Path) -> None:
    with IsolatedReader(timeout_s=20, read=crashes) as reader:
        assert reader.read(good) == read_midi(good)
        with pytest.raises(MidiFileError, match=r"crash\.mid: the MIDI parser died .*-11"):
            reader.read(good.with_name("crash.mid"))
        assert reader.read(good) == read_midi(good)
    with (
        IsolatedReader(timeout_s=0.5, read=crashes) as reader,
        pytest.raises(MidiFileError, match=r"not read within 0\.5 s"),
    ):
        reader.read(good.with_name("hang.mid"))


def test_spoiled_files_never_do_more_than_an_error(good: Path) -> None:
    """What the parser says of a file does not matter; that the next one is read does."""
    rng = random.Random(7)
    whole = good.read_bytes()
    spoiled = good.with_name("spoiled.mid")
    with IsolatedReader() as reader:
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(rng.choice((1, 2, 8))):
                data[rng.randrange(len(data))] = rng.randrange(256)
            del data[rng.choice((len(data), rng.randrange(len(data)))) :]
            spoiled.write_bytes(data)
            with suppress(MidiFileError):
                reader.read(spoiled)
        assert reader.read(good).phrase == parse_midi(whole).phrase
