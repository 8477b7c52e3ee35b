"""What the service managers read: each text is read back by a reader that is not ours."""

from __future__ import annotations

import configparser
import plistlib
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from real_programs import need_program
from rwkv_music_daemon.services.definitions import launchd_agent, scheduled_task, systemd_unit

COMMAND = (sys.executable, "-m", "rwkv_music_daemon.cli", "run")
ODD = (*COMMAND, "--config", "/tmp/a b/100%/$HOME.yaml", "--set", 'midi.input=the "In"')


@pytest.mark.parametrize("command", [COMMAND, ODD])
def test_systemd_finds_nothing_wrong_with_the_unit(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    need_program("systemd-analyze", "systemd")
    unit = tmp_path / "rwkv-music.service"
    unit.write_text(systemd_unit(command), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, ours) == (0, [])


def test_words_of_the_unit_are_what_they_were() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(systemd_unit(ODD))
    line = parser["Service"]["ExecStart"]
    assert line.endswith('"/tmp/a b/100%%/$$HOME.yaml" --set "midi.input=the \\"In\\""')
    assert parser["Service"]["Type"] == "notify"


def test_the_agent_is_a_property_list(tmp_path: Path) -> None:
    agent = plistlib.loads(launchd_agent(ODD, tmp_path).encode())
    assert agent["ProgramArguments"] == list(ODD)
    assert agent["RunAtLoad"]
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


def test_the_task_is_xml() -> None:
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    task = ElementTree.fromstring(
        scheduled_task(("C:\\a & b\\pythonw.exe", "run", "x y"), "HOME\\me").encode("utf-16")
    )
    assert task.findtext(".//t:Command", namespaces=space) == "C:\\a & b\\pythonw.exe"
    assert task.findtext(".//t:Arguments", namespaces=space) == 'run "x y"'
    assert task.findtext(".//t:ExecutionTimeLimit", namespaces=space) == "PT0S"
