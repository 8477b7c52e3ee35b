"""What the scripts know of the protocol is what the table says."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from real_programs import need_program
from rwkv_music_daemon.config_sections import Config
from rwkv_music_daemon.midi_map import COMMANDS
from rwkv_music_daemon.osc import document
from rwkv_music_daemon.osc.announcements import SENT
from rwkv_music_daemon.osc.requests import REQUESTS

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "bridge_scripts"


@pytest.mark.parametrize("path", document.files())
def test_what_is_made_from_the_table_is_up_to_date(path: str) -> None:
    """`make docs` writes them."""
    assert (ROOT / path).read_text(encoding="utf-8") == document.files()[path]


def live_constants() -> ModuleType:
    file = SCRIPTS / "ableton" / "RWKV_Music" / "constants.py"
    spec = importlib.util.spec_from_file_location("live_constants", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lives_constants_are_python_and_complete() -> None:
    constants = vars(live_constants())
    addresses = {value for value in constants.values() if str(value).startswith("/rwkv/")}
    said = {a for a in {*REQUESTS, *SENT} if not a.startswith("/rwkv/param/")}
    assert addresses >= said
    assert constants["COMMANDS"] == COMMANDS
    assert set(constants["TYPES"]) == set(REQUESTS)
    for address, (types, repeated) in constants["TYPES"].items():
        spec = REQUESTS[address]
        assert types == "".join(arg.type for arg in spec.args)
        assert repeated == "".join(arg.type for arg in spec.repeated)


def test_the_same_numbers_stand_in_every_language() -> None:
    table = json.loads((SCRIPTS / "constants.json").read_text(encoding="utf-8"))
    python = live_constants()
    for name, expected in {
        "PROTOCOL": table["protocol"],
        "HOST": table["host"],
        "PORT": table["port"],
        "LEASE_S": table["lease_s"],
        "LARGEST_DATAGRAM": table["largest_datagram"],
        "DEFAULT_BARS": table["parameters"]["bars"]["default"],
    }.items():
        assert getattr(python, name) == expected
    settings = SCRIPTS / "ableton" / "RWKV_Music" / "settings.json"
    assert json.loads(settings.read_text(encoding="utf-8"))["port"] == table["port"]


def test_every_port_that_is_proposed_is_another() -> None:
    """So that a service with its page and Pure Data can run at the same time."""
    config = Config()
    patch = (SCRIPTS / "puredata" / "rwkv_music.pd").read_text(encoding="utf-8")
    ports = [
        config.osc.port,
        config.monitor.port,
        *map(int, re.findall(r"listen (\d+) 127\.0\.0\.1", patch)),
    ]
    assert len(ports) == len(set(ports)) == 3
    assert str(ports[2]) in (ROOT / "docs" / "puredata.md").read_text(encoding="utf-8")


def test_luas_constants_are_lua_and_complete() -> None:
    need_program("lua5.4", "lua5.4")
    file = SCRIPTS / "reaper" / "RWKV Music" / "lib" / "constants.lua"
    code = """
      local constants = dofile(arg[1])
      print(constants.PORT, table.concat(constants.MODES, ","))
      for command, words in pairs(constants.COMMANDS) do
        print(command, table.concat(words, " "))
      end
    """
    done = subprocess.run(
        ["lua5.4", "-", str(file)], input=code, capture_output=True, text=True, check=True
    )
    first, *lines = done.stdout.splitlines()
    assert first == f"7770\t{','.join(REQUESTS['/rwkv/mode'].args[0].choices)}"
    assert {tuple(line.split("\t")) for line in lines} == {
        (command, " ".join((address, *args))) for command, (address, args) in COMMANDS.items()
    }
