"""What is asked of the service managers, which are played by a list."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner
from rwkv_music_daemon.cli import cli
from rwkv_music_daemon.commands import service
from rwkv_music_daemon.services import managers
from rwkv_music_daemon.services.managers import (
    Launchd,
    Manager,
    ServiceError,
    Systemd,
    TaskScheduler,
    tail,
)

COMMAND = ("/bin/python", "-m", "rwkv_music_daemon.cli", "run")


class Asked:
    """Answers like a program of the system, and writes down how it was called."""

    def __init__(self, refuses: str = "", says: str = "") -> None:
        self.calls: list[str] = []
        self._refuses = refuses
        self._says = says

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        line = " ".join(command)
        self.calls.append(line)
        refused = bool(self._refuses) and self._refuses in line
        return subprocess.CompletedProcess(command, int(refused), self._says, "no")


def test_systemd_installs_replaces_and_forgets(tmp_path: Path) -> None:
    asked = Asked()
    manager = Systemd(tmp_path, asked)
    unit = tmp_path / "systemd" / "user" / "rwkv-music.service"
    for _ in range(2):
        manager.install(COMMAND)
        assert f"ExecStart={' '.join(COMMAND)}" in unit.read_text()
    assert manager.uninstall()
    assert not unit.exists()
    assert not manager.uninstall()
    verbs = [call.split()[2] for call in asked.calls]
    once = ["show-environment", "daemon-reload", "enable", "restart"]
    assert verbs == [*once, *once, "disable", "daemon-reload"]


def test_without_a_systemd_of_the_user_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="run"):
        Systemd(tmp_path, Asked(refuses="show-environment")).install(COMMAND)
    assert list(tmp_path.iterdir()) == []


def test_launchd_starts_the_new_agent_instead_of_the_old(tmp_path: Path) -> None:
    asked = Asked(says="state = running")
    manager = Launchd(tmp_path / "agents", tmp_path / "logs", 501, asked)
    manager.install(COMMAND)
    assert [call.split()[1] for call in asked.calls] == ["bootout", "bootstrap"]
    assert f"logging.folder={tmp_path / 'logs'}" in manager.definition(COMMAND)[1]
    assert manager.status()[0]
    assert manager.uninstall()
    assert not manager.uninstall()


def test_windows_starts_the_new_task_instead_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(says="Running\n")
    monkeypatch.setattr(managers, "_GONE_S", 0.0)
    manager = TaskScheduler(tmp_path, tmp_path / "logs", "HOME\\\\me", asked)
    manager.install(COMMAND)
    assert [call.split()[1] for call in asked.calls] == ["/Create", "/End", "/Run"]
    assert (tmp_path / "service.xml").read_text("utf-16").startswith("<?xml")
    assert manager.status()[0]
    assert manager.uninstall()


@pytest.mark.parametrize("kind", [Launchd, TaskScheduler])
def test_a_refusal_is_an_error(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(managers, "_GONE_S", 0.0)
    monkeypatch.setattr(managers, "_FOLLOW_S", 0.01)
    more = (501,) if kind is Launchd else ("HOME\\\\me",)
    verb = "bootstrap" if kind is Launchd else "/Create"
    manager: Manager = kind(tmp_path, tmp_path / "logs", *more, Asked(refuses=verb))
    with pytest.raises(ServiceError, match=verb):
        manager.install(COMMAND)


def test_logs_come_in_the_order_of_their_times_and_go_on(tmp_path: Path) -> None:
    (tmp_path / "io.log").write_text("09:01 b\n09:03 d\n  more of d\n")
    (tmp_path / "worker.log").write_text("09:00 a\n09:02 c\n")
    assert list(tail(tmp_path, 2, False)) == ["09:02 c", "09:03 d\n  more of d"]
    told = tail(tmp_path, 1, True)
    assert next(told).startswith("09:03")
    with (tmp_path / "io.log").open("a") as log:
        log.write("09:04 e\n")
    with (tmp_path / "worker.log").open("w") as log:  # rotated: shorter than it was
        log.write("f\n")
    assert list(islice(told, 2)) == ["09:04 e", "f"]


def test_no_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="not run yet"):
        list(tail(tmp_path, 10, False))


def test_what_is_installed_is_run_with_these_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("transport: {tempo_bpm: 96}\n")
    monkeypatch.setattr(service, "this_systems", lambda: Systemd(tmp_path, Asked()))
    options = ["--config", str(config), "--set", "osc.port=7780"]
    shown = CliRunner().invoke(cli, ["service", "install", "--dry-run", *options])
    assert f"run --config {config} --set osc.port=7780" in shown.output
    assert not (tmp_path / "systemd").exists()
    done = CliRunner().invoke(cli, ["service", "install", *options])
    assert done.exit_code == 0
    unit = (tmp_path / "systemd" / "user" / "rwkv-music.service").read_text()
    assert unit in shown.output


def test_a_wrong_configuration_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "this_systems", lambda: Systemd(tmp_path, Asked()))
    done = CliRunner().invoke(cli, ["service", "install", "--set", "osc.port=much"])
    assert "osc.port" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
