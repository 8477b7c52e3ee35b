"""The compiled half is used when it was built from the sources at hand, and not otherwise."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import rwkv_music
from rwkv_music.engine import extension
from rwkv_music.source_stamp import source_stamp, staleness

NEEDS_NATIVE = pytest.mark.skipif(extension.module is None, reason="the native engine is not built")

LOADED_AND_SAID = """
import logging
logging.basicConfig(format="%(message)s")
from rwkv_music.model import load_model
from rwkv_music.errors import ConfigError
print(load_model("", "auto").name)
try:
    load_model("", "native")
except ConfigError as error:
    print(error)
"""


def test_what_was_built_was_built_from_these_sources():
    """Else all tests of the native engine would be skipped without a word."""
    assert "built from other sources" not in extension.absence, extension.absence


def test_a_stamp_stands_for_names_and_contents(tmp_path):
    assert source_stamp(tmp_path) == 0
    (tmp_path / "a.cpp").write_bytes(b"one")
    first = source_stamp(tmp_path)
    assert 0 < first < 2**64
    (tmp_path / "a.cpp").write_bytes(b"two")
    second = source_stamp(tmp_path)
    (tmp_path / "a.cpp").rename(tmp_path / "b.cpp")
    third = source_stamp(tmp_path)
    (tmp_path / "notes.txt").write_bytes(b"no source")
    assert len({first, second, third}) == 3
    assert source_stamp(tmp_path) == third


def test_only_an_extension_of_other_sources_is_stale(tmp_path):
    (tmp_path / "a.cpp").write_bytes(b"one")
    fresh = SimpleNamespace(SOURCE_STAMP=source_stamp(tmp_path), __file__="_native.so")
    before_there_were_stamps = SimpleNamespace(__file__="_native.so")
    assert staleness(fresh, tmp_path) == ""
    assert "_native.so was built from other" in staleness(before_there_were_stamps, tmp_path)
    assert staleness(before_there_were_stamps, tmp_path / "not installed") == ""
    (tmp_path / "a.cpp").write_bytes(b"two")
    assert "_native.so was built from other" in staleness(fresh, tmp_path)


@NEEDS_NATIVE
def test_with_a_stale_extension_numpy_serves_and_the_log_says_to_reinstall(tmp_path):
    package = Path(rwkv_music.__file__).parent
    shutil.copytree(package, tmp_path / "rwkv_music", ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "rwkv_music/engine/csrc/wkv.h"
    source.write_text(source.read_text() + "// the sources moved on\n")
    ran = subprocess.run(
        [sys.executable, "-c", LOADED_AND_SAID],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, refused = ran.stdout.splitlines()
    assert loaded.endswith("(numpy)")
    assert "built from other sources" in refused
    assert "reinstall rwkv-music, or choose numpy" in refused
    (said,) = ran.stderr.splitlines()
    assert "the slower NumPy engine serves. To have it, reinstall rwkv-music." in said
