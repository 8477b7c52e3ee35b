"""What a child is started with."""

from __future__ import annotations

import signal
import sys
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


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as POSIX has them")
def test_a_child_hears_no_ctrl_c_from_its_first_moment_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    boot = Boot.of("worker", Config(), "token", supervisor_port=9, io_port=9)
    child = start_child("worker_process", boot)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 1  # it has come as far as to call
    assert "Traceback" not in capfd.readouterr().err
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
