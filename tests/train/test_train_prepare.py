"""Folders of files, some of them broken or deadly, to token files and a report."""

import csv
import json
import os
import sys
import time

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from click.testing import CliRunner
from rwkv_music_train.cli import cli
from rwkv_music_train.pieces import read_split, split_files
from rwkv_music_train.prepare import PrepareOptions, content_of, prepare
from rwkv_music_train.sources import find_sources
from rwkv_music_train.workers import surviving_map
from training_samples import phrase, piece

from rwkv_music.errors import ConfigError, MidiFileError
from rwkv_music.midi_files import write_phrase
from rwkv_music.music import Bar, Note
from rwkv_music.tokenizer import decode_phrase, encode_phrase, load_vocabulary

V = load_vocabulary()
ALL_TO_TRAIN = PrepareOptions(valid_share=0.0)


def pieces_of(out, split="train"):
    return read_split(out, split, V)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "midi"
    (home / "good").mkdir(parents=True)
    for seed in range(6):
        write_phrase(phrase(seed), home / "good" / f"{seed}.mid")
    (home / "notes.txt").write_text("not for us")
    return home


def test_thirty_broken_files_are_reported_and_the_rest_is_used(folder, tmp_path):
    rng = np.random.default_rng(0)
    whole = (folder / "good" / "0.mid").read_bytes()
    for number in range(10):
        (folder / f"cut{number}.mid").write_bytes(whole[: 10 + 3 * number])
    for number in range(10):
        (folder / f"noise{number}.mid").write_bytes(b"MThd" + rng.bytes(200))
    for number in range(8):
        (folder / f"text{number}.mid").write_bytes(b"no music at all" * number)
    write_phrase(phrase(0)[:0], folder / "silent.mid")
    (folder / "gone.mid").symlink_to(folder / "nowhere.mid")
    out = tmp_path / "out"
    result = CliRunner().invoke(
        cli, ["prepare", str(folder), "-o", str(out), "--workers", "2", "--valid-share", "0"]
    )
    assert result.exit_code == 0, result.output
    assert "refused: 30 files" in result.output
    with (out / "refused.csv").open(newline="") as file:
        refused = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert len(refused) == 30
    assert all(refused.values())
    facts = json.loads((out / "statistics.json").read_text())
    assert facts["refused"] == 30
    assert facts["pieces"] == {"train": 6}
    assert facts["meters"] == {"4/4": 1.0}
    assert facts["sets"] == {"good": 6}
    pieces = pieces_of(out)
    assert facts["notes"] == sum(
        len(bar.notes) for p in pieces for bar in decode_phrase(p.tokens.tolist())
    )
    assert [p.path for p in pieces] == [f"good/{seed}.mid" for seed in range(6)]
    for seed, made in enumerate(pieces):
        assert made.set == "good"
        bars = decode_phrase(made.tokens.tolist())
        assert len(bars) == len(made.bars) - 1 == 12
        onsets = [[(n.onset, n.pitch) for n in bar.notes] for bar in bars]
        wanted = [sorted({(n.onset, n.pitch) for n in bar.notes}) for bar in phrase(seed)]
        assert onsets == wanted


def test_the_same_music_falls_into_one_split_in_whatever_key(folder, tmp_path):
    for seed in range(6):
        write_phrase(phrase(seed), folder / f"copy of {seed}.mid")
        moved = tuple(
            Bar(b.meter, 90.0, tuple(Note(n.onset, n.pitch + 2, 33, n.duration) for n in b.notes))
            for b in phrase(seed)
        )
        write_phrase(moved, folder / f"in another key, {seed}.mid")
    done = prepare([folder], tmp_path / "out", PrepareOptions(valid_share=0.5), workers=1)
    assert done.doubles == 12
    split_of = {}
    for split in ("train", "valid"):
        for made in pieces_of(tmp_path / "out", split):
            split_of.setdefault(content_of(made), set()).add(split)
    assert len(split_of) == 6
    assert all(len(splits) == 1 for splits in split_of.values())


def test_a_manifest_decides_the_split_but_not_against_a_double(folder, tmp_path):
    write_phrase(phrase(0), folder / "double.mid")
    (folder / "manifest.csv").write_text(
        "path,split,set\ngood/0.mid,train,pop\ngood/1.mid,validation,song\ndouble.mid,valid,pop\n"
    )
    done = prepare([folder], tmp_path / "out", workers=1)
    assert done.pieces == {"train": 2, "valid": 1}
    assert (done.doubles, done.moved) == (1, 1)
    (valid,) = pieces_of(tmp_path / "out", "valid")
    assert (valid.path, valid.set) == ("good/1.mid", "song")


def test_a_set_in_shards_is_the_set_in_one(folder, tmp_path):
    whole = prepare([folder], tmp_path / "one", ALL_TO_TRAIN, workers=1)
    small = PrepareOptions(valid_share=0.0, shard_files=2)
    parts = prepare([folder], tmp_path / "many", small, workers=2)
    assert len(split_files(tmp_path / "many", "train")) == 3
    assert (parts.pieces, parts.tokens, parts.bars) == (whole.pieces, whole.tokens, whole.bars)
    for a, b in zip(pieces_of(tmp_path / "one"), pieces_of(tmp_path / "many"), strict=True):
        assert a.path == b.path
        np.testing.assert_array_equal(a.tokens, b.tokens)


def test_stopped_it_goes_on_and_finished_it_has_nothing_to_do(folder, tmp_path, monkeypatch):
    import rwkv_music_train.prepare as module

    out, small = tmp_path / "out", PrepareOptions(valid_share=0.0, shard_files=2)

    def stop_after_three(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([folder], out, small, workers=1, progress=stop_after_three)
    assert not (out / "statistics.json").exists()
    assert not list(out.glob("*.part"))
    done = prepare([folder], out, small, workers=1)
    assert done.reused == 2
    assert done.pieces == {"train": 6}

    def nothing(_, jobs, *__):
        assert jobs == []
        yield from ()

    monkeypatch.setattr(module, "surviving_map", nothing)
    assert prepare([folder], out, small, workers=1).reused == 6
    monkeypatch.undo()
    write_phrase(phrase(70), folder / "good" / "5.mid")
    changed = prepare([folder], out, small, workers=1)
    assert changed.reused == 4
    assert pieces_of(out)[-1].tokens.tolist() == encode_phrase(phrase(70))
    (folder / "good" / "5.mid").unlink()
    (folder / "good" / "4.mid").unlink()
    assert prepare([folder], out, small, workers=1).pieces == {"train": 4}
    assert len(pieces_of(out)) == 4


def test_files_lists_and_several_folders(folder, tmp_path):
    (tmp_path / "some.txt").write_text("midi/good/3.mid\n\nmidi/good/4.mid\n")
    assert [s.path for s in find_sources([tmp_path / "some.txt"])] == [
        "midi/good/3.mid",
        "midi/good/4.mid",
    ]
    one = folder / "good" / "1.mid"
    assert [(s.path, s.set) for s in find_sources([one])] == [("1.mid", "good")]
    other = tmp_path / "other"
    other.mkdir()
    write_phrase(phrase(9), other / "1.mid")
    both = find_sources([folder, other])
    assert both[-1].path == "other/1.mid"
    assert both[0].path == "midi/good/0.mid"
    assert find_sources([one, one]) == find_sources([one])
    with pytest.raises(ConfigError, match="two files are called so"):
        find_sources([one, other / "1.mid"])


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are text there")
def test_a_name_that_is_not_utf_8_is_kept_readable(folder, tmp_path):
    (folder / "good" / "0.mid").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.mid"))
    (folder / "broken").write_bytes(b"no music")
    (folder / "broken").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.mid"))
    done = prepare([folder], tmp_path / "out", ALL_TO_TRAIN)
    assert list(done.refused) == ["\\xff.mid"]
    assert "caf\\xe9.mid" in [piece.path for piece in pieces_of(tmp_path / "out")]


def test_a_folder_without_music_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no MIDI files"):
        prepare([tmp_path], tmp_path / "out")


def test_json_lines_and_miditok_have_the_same_music(tmp_path):
    miditok = pytest.importorskip("miditok")
    from miditok.pytorch_data import DatasetJSON
    from rwkv_music_train.pieces import PieceWriter, shard_path

    made = [piece(1), piece(2, meter="3/4")]
    with PieceWriter(shard_path(tmp_path, "train", 0), V) as writer:
        for one in made:
            writer.add(one)
    lines, folder = tmp_path / "train.jsonl", tmp_path / "miditok"
    result = CliRunner().invoke(
        cli, ["dump", str(tmp_path), "--jsonl", str(lines), "--miditok", str(folder)]
    )
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["tokens"] for row in rows] == [p.tokens.tolist() for p in made]
    assert rows[0]["names"][0] == "Bar_None"
    tokenizer = miditok.REMI(params=folder / "tokenizer.json")
    files = {one.path: folder / one.path.replace(".mid", ".json") for one in made}
    loaded = DatasetJSON(list(files.values()), max_seq_len=4096)
    assert len(loaded) == 2
    assert loaded[0]["input_ids"].shape[0] > 100
    for one in made:
        ids = tokenizer.load_tokens(files[one.path], raw=True)["ids"]
        score = tokenizer.decode([ids]).resample(12)
        notes = sorted((n.time, n.pitch, n.duration) for n in score.tracks[0].notes)
        start, wanted = 0, []
        for bar in decode_phrase(one.tokens.tolist()):
            wanted += [(start + n.onset, n.pitch, n.duration) for n in bar.notes]
            start += bar.meter.steps
        assert notes == sorted(wanted)


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
    if kind == "eat":
        bytearray(1 << 40)
    return kind.upper()


def test_workers_that_die_hang_or_fail_cost_one_item_each():
    items = ["a", "die", "b", "hang", "refuse", "c", "bug", "eat", "d"]
    outcomes = list(surviving_map(behave, items, workers=2, limit_s=3.0))
    assert [outcome.item for outcome in outcomes] == items
    by_item = {outcome.item: outcome for outcome in outcomes}
    assert [by_item[x].result for x in "abcd"] == ["A", "B", "C", "D"]
    assert "exit code 11" in by_item["die"].refused
    assert "longer than 3 s" in by_item["hang"].refused
    assert by_item["refuse"].refused == "no music"
    assert by_item["bug"].refused == "ZeroDivisionError: oh"
    assert "more memory" in by_item["eat"].refused
