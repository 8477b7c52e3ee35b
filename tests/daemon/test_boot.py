"""What a child is started with."""

from __future__ import annotations

from pathlib import Path

import pytest
from rwkv_music_daemon.boot import Boot, start_child
from rwkv_music_daemon.config import Config


def test_a_child_imports_nothing_from_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "witness"
    stranger = f"open({str(witness)!r}, 'w').close()\n"
    for module in ("yaml", "mido", "numpy"):
        (tmp_path / f"{module}.py").write_text(stranger)
    monkeypatch.chdir(tmp_path)
    boot = Boot.of("worker", Config(), "token", supervisor_port=9, io_port=9)
    child = start_child("worker_process", boot)
    assert child.wait(timeout=60) != 0  # there is no supervisor that it could call
    assert not witness.exists()
