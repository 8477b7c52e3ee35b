"""The log of a process: a file of its own, of a size that stays bounded."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rwkv_music_daemon.boot import start_log
from rwkv_music_daemon.cli import cli
from rwkv_music_daemon.commands import run as run_module
from rwkv_music_daemon.config_sections import LoggingConfig

from rwkv_music.errors import ConfigError, PortError

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


def test_a_configuration_that_is_wrong_is_told_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("osc: {prt: 3}")
    words = ("-m", "rwkv_music_daemon.cli", "run", "--config", str(tmp_path / "wrong.yaml"))
    folder = tmp_path / "logs"
    done = subprocess.run(
        [sys.executable, *words, "--set", f"logging.folder={folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "did you mean osc.port?" in done.stderr
    text = (folder / "supervisor.log").read_text()
    assert "ERROR supervisor: " in text
    assert "did you mean osc.port?" in text


def test_how_a_run_begins_and_ends_is_told_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run(config: object, ready: Callable[[str], None]) -> None:
        ready("ready jack: In, Out")
        raise PortError("the port has gone")

    monkeypatch.setattr(run_module, "run_service", run)
    words = ("run", "--set", f"logging.folder={tmp_path}", "--set", "osc.host=0.0.0.0")
    with caplog.at_level(logging.INFO):
        done = CliRunner().invoke(cli, words)
    assert done.output == "ready jack: In, Out\n"
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith("osc.host: 0.0.0.0")
    assert told[1:] == ["ready jack: In, Out", "the port has gone"]
