"""REAPER's stand-in with the actions installed, and what happened in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bridge_service import BridgeService
from lua_values import lua
from rwkv_music_daemon import bridges

ROOT = Path(__file__).resolve().parents[2]
REAPER = ROOT / "bridge_scripts" / "reaper"
SCRIPTS = REAPER / "RWKV Music"
PATTERNS = REAPER / "OSC" / "RWKV Music.ReaperOSC"
STAND_IN = Path(__file__).with_name("fake_reaper.lua")

needs_lua = pytest.mark.skipif(
    shutil.which("lua5.4") is None and os.environ.get("RWKV_MUSIC_REAL") != "1",
    reason="lua5.4 is not installed (Debian: lua5.4)",
)
Line = list[str]


class Reaper:
    """REAPER with the bridge installed. The program that the scripts run talks to `service`."""

    def __init__(self, folder: Path, service: BridgeService | None) -> None:
        self.folder = folder / "REAPER resources"
        config = folder / "config" / "rwkv-music" / "config.yaml"
        config.parent.mkdir(parents=True)
        port = service.server.port if service else 9
        config.write_text(f"osc: {{port: {port}}}\n", encoding="utf-8")
        self.environ = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
        self.program = folder / "rwkv-music-daemon"
        self.program.write_text(
            f"#!/bin/sh\nexec {sys.executable} -c 'from rwkv_music_daemon.cli import main; main()'"
            ' "$@"\n',
            encoding="utf-8",
        )
        self.program.chmod(0o755)
        bridges.install(bridges.find("reaper"), self.folder, port, self.program)

    def run(self, script: str, **scenario: Any) -> list[Line]:
        """Run an action and return what happened."""
        project = {
            "tempo": 120.0,
            "numerator": 4,
            "denominator": 4,
            "resource_path": str(self.folder),
            **scenario,
        }
        file = self.folder / "scenario.lua"
        file.write_text(f"return {lua(project)}\n", encoding="utf-8")
        path = self.folder / "Scripts" / "RWKV Music" / script
        done = subprocess.run(
            ["lua5.4", str(STAND_IN), str(path), str(file)],
            capture_output=True,
            text=True,
            timeout=100,
            env=self.environ,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def answer_with(self, status: int, text: str) -> None:
        """Put another program in the place of the real one."""
        self.answer_by(f"printf '%s\\n' '{text}'\nexit {status}")

    def answer_by(self, shell: str) -> None:
        """The same, as a program of the shell's."""
        self.program.write_text(f"#!/bin/sh\n{shell}\n", encoding="utf-8")


def kinds(happened: list[Line], *wanted: str) -> list[Line]:
    return [line[1:] for line in happened if line[0] in wanted]
