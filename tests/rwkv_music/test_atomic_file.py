from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from rwkv_music.atomic_file import ABANDONED_S, replacing


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == tmp_path
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half")
            raise ValueError("on the way")

    with pytest.raises(ValueError, match="on the way"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_lies_in_the_way_is_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "other.txt"
    other.write_text("mine")
    with replacing(path) as part:
        part.write_text("old")
        place = part
    place.symlink_to(other)
    with replacing(path) as part:
        part.write_text("new")
    assert (path.read_text(), other.read_text()) == ("new", "mine")
    assert not path.is_symlink()


def test_what_other_processes_left_long_ago_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    left, others, being_written = (
        tmp_path / name for name in (".a.txt.999999.part", ".a.part", ".a.txt.999998.part")
    )
    for place in (left, others, being_written):
        place.write_text("half")
    long_ago_s = time.time() - ABANDONED_S - 60
    for place in (left, others):
        os.utime(place, (long_ago_s, long_ago_s))
    with replacing(path) as part:
        part.write_text("new")
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.txt", ".a.part", being_written.name}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        with pytest.raises(FileExistsError, match="no file"), replacing(place) as part:
            part.write_text("new")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_folder_that_there_is_not_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "a.txt") as part:
        part.write_text("new")
