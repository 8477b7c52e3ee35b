"""A folder of files, some of them broken or deadly, to token files and a report."""

import csv
import json
import os
import time

import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from click.testing import CliRunner
from rwkv_music_train.cli import cli
from rwkv_music_train.pieces import read_pieces
from rwkv_music_train.prepare import prepare
from rwkv_music_train.workers import surviving_map
from training_samples import phrase

from rwkv_music.errors import ConfigError, MidiFileError
from rwkv_music.midi_files import write_phrase
from rwkv_music.tokenizer import decode_phrase, load_vocabulary


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "midi"
    (home / "good").mkdir(parents=True)
    for seed in range(6):
        write_phrase(phrase(seed), home / "good" / f"{seed}.mid")
    whole = (home / "good" / "0.mid").read_bytes()
    (home / "empty.mid").write_bytes(b"")
    (home / "text.mid").write_bytes(b"no music at all")
    (home / "cut.mid").write_bytes(whole[:40])
    (home / "silent.mid").write_bytes(b"")
    write_phrase(phrase(0)[:0], home / "silent.mid")
    (home / "notes.txt").write_text("not for us")
    return home


def test_good_files_become_pieces_and_broken_ones_are_reported(folder, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(
        cli, ["prepare", str(folder), "-o", str(out), "--workers", "2", "--valid-share", "0"]
    )
    assert result.exit_code == 0, result.output
    with (out / "refused.csv").open(newline="") as file:
        refused = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert set(refused) == {"empty.mid", "text.mid", "cut.mid", "silent.mid"}
    assert all(refused.values())
    assert json.loads((out / "statistics.json").read_text())["refused"] == 4
    pieces = read_pieces(out / "train.arrow", load_vocabulary())
    assert [p.path for p in pieces] == [f"good/{seed}.mid" for seed in range(6)]
    for seed, made in enumerate(pieces):
        assert made.set == "good"
        bars = decode_phrase(made.tokens.tolist())
        assert len(bars) == len(made.bars) - 1 == 12
        onsets = [[(n.onset, n.pitch) for n in bar.notes] for bar in bars]
        wanted = [sorted({(n.onset, n.pitch) for n in bar.notes}) for bar in phrase(seed)]
        assert onsets == wanted


def test_the_same_music_falls_into_one_split(folder, tmp_path):
    for seed in range(6):
        write_phrase(phrase(seed), folder / f"copy of {seed}.mid")
    prepare(folder, tmp_path / "out", valid_share=0.5, workers=1)
    split_of = {}
    for split in ("train", "valid"):
        for piece in read_pieces(tmp_path / "out" / f"{split}.arrow", load_vocabulary()):
            split_of.setdefault(piece.tokens.tobytes(), set()).add(split)
    assert len(split_of) == 6
    assert all(len(splits) == 1 for splits in split_of.values())


def test_a_manifest_decides_the_split(folder, tmp_path):
    (folder / "manifest.csv").write_text(
        "path,split,set\ngood/0.mid,train,pop\ngood/1.mid,validation,song\n"
    )
    done = prepare(folder, tmp_path / "out", workers=1)
    assert done.pieces == {"train": 1, "valid": 1}
    (valid,) = read_pieces(tmp_path / "out" / "valid.arrow", load_vocabulary())
    assert (valid.path, valid.set) == ("good/1.mid", "song")


def test_a_folder_without_music_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no MIDI files"):
        prepare(tmp_path, tmp_path / "out")


def behave(kind):
    """Runs in a worker process."""
    if kind == "die":
        os._exit(11)
    if kind == "hang":
        time.sleep(60)
    if kind == "refuse":
        raise MidiFileError("no music")
    if kind == "bug":
        raise ZeroDivisionError("oh")
    return kind.upper()


def test_workers_that_die_hang_or_fail_cost_one_item_each():
    items = ["a", "die", "b", "hang", "refuse", "c", "bug", "d"]
    outcomes = list(surviving_map(behave, items, workers=2, limit_s=3.0))
    assert [outcome.item for outcome in outcomes] == items
    by_item = {outcome.item: outcome for outcome in outcomes}
    assert [by_item[x].result for x in "abcd"] == ["A", "B", "C", "D"]
    assert "exit code 11" in by_item["die"].refused
    assert "longer than 3 s" in by_item["hang"].refused
    assert by_item["refuse"].refused == "no music"
    assert by_item["bug"].refused == "ZeroDivisionError: oh"
