"""What is asked of the service managers, which are played by a list."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
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

STARTER = Path(__file__).parents[2] / "rwkv_music" / "data" / "starter.safetensors"
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


def test_every_system_can_stop_and_start_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managers, "_GONE_S", 0.0)
    asked = Asked()
    for manager in (
        Systemd(tmp_path / "linux", asked),
        Launchd(tmp_path / "mac", tmp_path / "logs", 501, asked),
        TaskScheduler(tmp_path / "windows", tmp_path / "logs", "me", asked),
    ):
        for act in (manager.stop, manager.start):
            with pytest.raises(ServiceError, match="service install"):
                act()
        manager.install(COMMAND)
        asked.calls.clear()
        manager.stop()
        assert any(word in asked.calls[-1] for word in (" stop ", "bootout", "/End"))
        manager.start()
        assert any(word in asked.calls[-1] for word in (" start ", "bootstrap", "/Run"))


def test_what_a_program_says_in_another_code_page_is_read_all_the_same() -> None:
    script = "import sys; sys.stdout.buffer.write(b'L\\xe4uft \\x81')"
    assert managers.run((sys.executable, "-c", script)).stdout.startswith("L")


def test_a_relative_path_means_the_same_file_in_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(service, "this_systems", lambda: Systemd(tmp_path, Asked()))
    (tmp_path / "my.yaml").write_text("service: {data_dir: here}")
    shutil.copyfile(STARTER, tmp_path / "waltz.safetensors")
    words = "service install --dry-run --config my.yaml --set model.path=waltz.safetensors"
    said = CliRunner().invoke(cli, words.split()).output
    assert said.rindex(f"model.path={tmp_path}/waltz.safetensors") > said.index("=waltz")
    assert "data_dir" not in said  # the file says it, and may be changed


def test_a_service_under_pipewire_finds_its_jack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert service.run_command(None, ())[0] == sys.executable
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/${LIB}/pipewire-0.3/jack")
    assert service.run_command(None, ())[:2] == ("/usr/bin/pw-jack", sys.executable)


def test_a_service_that_cannot_start_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    words = ("service", "install", "--set", "model.path=/nowhere.safetensors")
    done = CliRunner().invoke(cli, words)
    assert "no file /nowhere.safetensors" in str(done.exception)
    done = CliRunner().invoke(cli, ("service", "install", "--set", "model.memory=polka"))
    assert "no memory 'polka'" in str(done.exception)


def test_a_memory_that_comes_with_the_model_is_there_to_begin_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "this_systems", lambda: Systemd(tmp_path, Asked()))
    words = "service install --dry-run --set model.memory=pop"
    done = CliRunner().invoke(cli, words.split())
    assert done.exit_code == 0, done.exception
    assert "model.memory=pop" in done.output


@pytest.mark.parametrize("kind", [Systemd, Launchd, TaskScheduler])
def test_what_is_not_installed_has_no_status(kind: type, tmp_path: Path) -> None:
    more = {Systemd: (), Launchd: (tmp_path / "logs", 501), TaskScheduler: (tmp_path / "logs", "x")}
    with pytest.raises(ServiceError, match="not installed"):
        kind(tmp_path, *more[kind], Asked(says="Running")).status()


def test_a_systemd_that_is_not_reached_is_no_service_that_stands_still(tmp_path: Path) -> None:
    Systemd(tmp_path, Asked()).install(COMMAND)
    assert Systemd(tmp_path, Asked(says="active (running)")).status() == (True, "active (running)")
    with pytest.raises(ServiceError, match="a session of a user with systemd"):
        Systemd(tmp_path, Asked(refuses="status")).status()


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


def test_what_was_written_before_there_was_a_log_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("Traceback\nImportError: no such module\n")
    written = "2026-11-22 09:01:00"
    at = time.mktime(time.strptime(written, "%Y-%m-%d %H:%M:%S"))
    os.utime(tmp_path / "out.txt", (at, at))
    (tmp_path / "io.log").write_text("2026-11-22 09:00:59 b\n2026-11-22 09:01:01 c\n")
    told = ["Traceback", "ImportError: no such module", "2026-11-22 09:01:01 c"]
    assert list(tail(tmp_path, 3, False)) == told


@pytest.mark.parametrize("kind", [Systemd, Launchd, TaskScheduler])
def test_the_log_is_where_the_manager_looks_for_it(kind: type, tmp_path: Path) -> None:
    more = {Systemd: (), Launchd: (tmp_path / "logs", 501), TaskScheduler: (tmp_path / "logs", "x")}
    manager: Manager = kind(tmp_path, *more[kind], Asked())
    text = manager.definition((*COMMAND, "--set", "logging.folder=/elsewhere"))[1]
    place = "" if kind is Systemd else tmp_path / "logs"
    assert text.rindex(f"logging.folder={place}") > text.index("logging.folder=/elsewhere")


JOURNAL = """#!/bin/sh
# What it was asked for, and then what comes later, where somebody waits for that.
echo "$@"
case "$*" in *--follow*) echo later ;; esac
exit $EXIT_CODE
"""


def test_the_journal_is_shown_and_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "journalctl"
    program.write_text(JOURNAL, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("EXIT_CODE", "0")
    systemd = Systemd(tmp_path, Asked())
    assert list(systemd.logs(20, follow=False)) == ["--user -u rwkv-music.service -n 20 --no-pager"]
    assert list(systemd.logs(20, follow=True))[1:] == ["later"]
    monkeypatch.setenv("EXIT_CODE", "1")
    with pytest.raises(ServiceError, match="journalctl"):
        list(systemd.logs(20, follow=False))


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
