"""Ardour's scripts under real Lua with a stand-in for the parts of Ardour that they use. The real
Ardour runs them in tests/loopback/test_ardour.py."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lua_values import lua
from rwkv_music_daemon.midi_map import COMMANDS
from rwkv_music_daemon.osc.requests import REQUESTS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "bridge_scripts" / "ardour"
STUB = Path(__file__).with_name("stub_ardour.lua")
ACTIONS = sorted(path for path in SCRIPTS.glob("*.lua") if path.stem != "rwkv_transport")
POSITION, TEMPO, BAR, PLAY, STOP = (
    f"/rwkv/transport/{name}" for name in ("position", "tempo", "bar", "play", "stop")
)

pytestmark = pytest.mark.skipif(
    shutil.which("lua5.4") is None and os.environ.get("RWKV_MUSIC_REAL") != "1",
    reason="lua5.4 is not installed (Debian: lua5.4)",
)


def run(script: Path, tmp_path: Path, *moments: dict[str, Any]) -> tuple[list[list[str]], Any]:
    """What the script says of itself, and what it sent at each moment."""
    scenario = tmp_path / "scenario.lua"
    scenario.write_text(f"return {lua(list(moments))}", encoding="utf-8")
    done = subprocess.run(
        ["lua5.4", str(STUB), str(script), str(scenario)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    head, *said = done.stdout.split("moment\n")
    sent = [[line.split("\t") for line in part.splitlines()] for part in said]
    return [line.split("\t") for line in head.splitlines()], sent


def at(beat: float, *, rolling: bool, **changes: Any) -> dict[str, Any]:
    tempo = changes.get("tempo", 120.0)
    return {
        "rolling": rolling,
        "sample": int(beat * 60 / tempo * 48000),
        "tempo": tempo,
        "divisions": 4,
        "note_value": 4,
        "bar": int(beat // 4),
        "line": int(beat // 4) * 4,
        "signal": "LuaTimerDS",
        **changes,
    }


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.lua")), ids=lambda path: path.stem)
def test_a_script_describes_itself_and_knows_the_service(script: Path, tmp_path: Path) -> None:
    head, _ = run(script, tmp_path)
    kind = "EditorAction" if script in ACTIONS else "EditorHook"
    assert head[0][1] == kind
    assert head[0][2].startswith("RWKV Music: ")
    assert head[0][3:] == ["RWKV Music", "true"]
    table = json.loads((ROOT / "bridge_scripts" / "constants.json").read_text(encoding="utf-8"))
    uri = f"osc.udp://{table['host']}:{table['port']}"
    assert head[1] == ["parameter", "uri", uri]
    named = re.findall(r"osc\.udp://[\d.:]+", script.read_text(encoding="utf-8"))
    assert set(named) == {uri}


@pytest.mark.parametrize("script", ACTIONS, ids=lambda path: path.stem)
def test_an_action_is_a_command_of_the_table(script: Path, tmp_path: Path) -> None:
    _, ((message,),) = run(script, tmp_path, {"signal": False})
    _, address, types, *args = message
    assert (address, tuple(args)) == COMMANDS[script.stem.removeprefix("rwkv_")]
    assert types == "".join(arg.type for arg in REQUESTS[address].args)[: len(args)]


def test_what_is_sent_when_ardour_starts_rolls_and_stops(tmp_path: Path) -> None:
    script = SCRIPTS / "rwkv_transport.lua"
    state = {"signal": "TransportStateChange"}
    _, sent = run(
        script,
        tmp_path,
        at(8, rolling=False),
        at(8, rolling=True, **state),
        at(8.2, rolling=True),
        at(8.4, rolling=True, tempo=90.0),
        at(8.6, rolling=True, tempo=90.0, divisions=6, note_value=8),
        at(8.8, rolling=False, tempo=90.0, divisions=6, note_value=8, **state),
    )
    addresses = [[line[1] for line in lines] for lines in sent]
    assert addresses == [
        [TEMPO, BAR, POSITION],
        [TEMPO, BAR, POSITION, PLAY],
        [POSITION],
        [TEMPO, POSITION],
        [BAR, POSITION],
        [STOP, TEMPO, BAR, POSITION],
    ]
    assert sent[1][0][2:] == ["f", "120.0"]
    assert sent[1][1][2:] == ["ifii", "2", "8.0", "4", "4"]
    assert float(sent[1][2][3]) == pytest.approx(8.0)
    assert float(sent[3][1][3]) == pytest.approx(8.4, abs=0.001)
    assert sent[4][0][3:] == ["2", "8.0", "6", "8"]


def test_the_bar_is_told_before_the_place_wherever_it_is(tmp_path: Path) -> None:
    waltz = {"divisions": 3, "note_value": 4, "bar": 5, "line": 19}
    eighths = {"divisions": 6, "note_value": 8, "bar": 8, "line": 28}
    _, sent = run(
        SCRIPTS / "rwkv_transport.lua",
        tmp_path,
        at(19, rolling=True, **waltz),
        at(20.3, rolling=True, **waltz),
        at(21.999, rolling=True, **waltz),
        at(29.75, rolling=True, **eighths),  # a jump
        at(28, rolling=True, before=[3, 4], **eighths),  # to the line of the change
        at(28.4, rolling=True, **eighths),
    )
    assert [[line[1] for line in lines] for lines in sent] == [
        [TEMPO, BAR, POSITION, PLAY],
        [POSITION],
        [POSITION],
        [BAR, POSITION],
        [POSITION],
        [POSITION],
    ]
    assert sent[0][1][3:] == ["5", "19.0", "3", "4"]
    assert sent[3][0][3:] == ["8", "28.0", "6", "8"]


def test_a_start_is_seen_even_when_the_timer_comes_first(tmp_path: Path) -> None:
    script = SCRIPTS / "rwkv_transport.lua"
    _, sent = run(
        script,
        tmp_path,
        at(0, rolling=True),
        at(0, rolling=True, signal="TransportStateChange"),
        at(0.2, rolling=True),
    )
    assert [len(lines) for lines in sent] == [4, 0, 1]


def test_at_rest_everything_is_told_once_a_second_and_a_locate_at_once(tmp_path: Path) -> None:
    script = SCRIPTS / "rwkv_transport.lua"
    moments = [at(4, rolling=False) for _ in range(30)]
    moments[15] = at(9, rolling=False)
    _, sent = run(script, tmp_path, *moments)
    told = [len(lines) for lines in sent]
    assert told.count(3) in (3, 4)
    assert told[15] == 2  # bar and place
    assert sum(told) <= 16
