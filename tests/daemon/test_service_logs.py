"""The log of a process: a file of its own, of a size that stays bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rwkv_music_daemon.boot import start_log
from rwkv_music_daemon.config_sections import LoggingConfig

from rwkv_music.errors import ConfigError

# In a process of its own: what a log is set up with holds for all of a process.
_TALK = """
import logging, sys
from rwkv_music_daemon import boot
from rwkv_music_daemon.config_sections import LoggingConfig

boot._LOG_BYTES = 10_000
boot.start_log("worker", LoggingConfig(folder=sys.argv[1], level="warning"))
for number in range(2000):
    logging.getLogger("x").warning("entry %d", number)
    logging.getLogger("x").info("never")
"""


def test_a_log_is_rotated_and_the_oldest_entries_go(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    subprocess.run([sys.executable, "-c", _TALK, str(folder)], check=True)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["worker.log", "worker.log.1", "worker.log.2", "worker.log.3"]
    assert all(path.stat().st_size <= 10_000 for path in folder.iterdir())
    text = (folder / "worker.log").read_text()
    assert text.endswith("worker: entry 1999\n")
    assert "never" not in text


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"logging\.folder"):
        start_log("worker", LoggingConfig(folder=str(tmp_path / "file" / "logs")))
