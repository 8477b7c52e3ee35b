"""`rwkv-music-daemon bridges`: what is copied, and to where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rwkv_music_daemon import bridges
from rwkv_music_daemon.bridges import BRIDGES, BridgeError, find, host_folders
from rwkv_music_daemon.cli import cli

ROOT = Path(__file__).resolve().parents[2]


def is_a_cache(path: Path) -> bool:
    return bool({"__pycache__", ".ruff_cache"} & set(path.parts))


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, ["bridges", *args])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def test_every_folder_of_scripts_is_a_bridge_with_a_page() -> None:
    folders = {path.name for path in (ROOT / "bridge_scripts").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(BRIDGES)
    for bridge in BRIDGES.values():
        page = (ROOT / bridge.page).read_text(encoding="utf-8")
        assert f"bridges install {bridge.name}" in page
        assert bridge.name in run("list")


def test_the_path_is_that_of_the_scripts() -> None:
    assert (Path(run("path").strip()) / "constants.json").is_file()


@pytest.mark.parametrize("name", BRIDGES)
def test_every_script_is_installed(name: str, tmp_path: Path) -> None:
    output = run("install", name, "--to", str(tmp_path))
    sources = [source for source, _ in bridges.files(find(name))]
    ours = [
        path
        for path in (ROOT / "bridge_scripts" / name).rglob("*")
        if path.is_file() and path.suffix != ".toml" and not is_a_cache(path)
    ]
    assert sorted(sources) == sorted(ours)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(map(str, written)) == sorted(output.splitlines()[:-1])
    assert len(written) == len(ours)
    assert output.splitlines()[-1] == f"Now: {find(name).then.format(port=7770)} (docs/{name}.md)"


def test_lives_settings_get_the_port_and_stay_the_musicians(tmp_path: Path) -> None:
    run("install", "ableton", "--to", str(tmp_path), "--set", "osc.port=7790")
    file = tmp_path / "RWKV_Music" / "settings.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    assert settings["port"] == 7790
    assert settings["controls"]["trigger"] == "cc 20 ch 16"
    file.write_text('{"controls": {}}', encoding="utf-8")
    (tmp_path / "RWKV_Music" / "osc.py").write_text("old", encoding="utf-8")
    assert "settings.json" not in run("install", "ableton", "--to", str(tmp_path))
    assert file.read_text(encoding="utf-8") == '{"controls": {}}'
    assert (tmp_path / "RWKV_Music" / "osc.py").read_text(encoding="utf-8") != "old"


@pytest.mark.parametrize("name", BRIDGES)
def test_every_port_in_the_scripts_is_the_services(name: str, tmp_path: Path) -> None:
    output = run("install", name, "--to", str(tmp_path), "--set", "osc.port=7790")
    assert "7770" not in output
    for source, place in bridges.files(find(name)):
        expected = re.sub(r"\b7770\b", "7790", source.read_text(encoding="utf-8"))
        if place.name != "program.lua":
            assert (tmp_path / place).read_text(encoding="utf-8") == expected
    named = re.compile(r"osc\.udp://127\.0\.0\.1:7790|connect 127\.0\.0\.1 7790|device port 7790")
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("7770" in text for text in texts)
    assert name == "ableton" or any(named.search(text) for text in texts)


def test_lives_settings_that_name_another_port_are_told(tmp_path: Path) -> None:
    install = ("install", "ableton", "--to", str(tmp_path))
    run(*install)
    file = tmp_path / "RWKV_Music" / "settings.json"
    assert f"{file} was kept, with port 7770; the service has port 7790: " in run(
        *install, "--set", "osc.port=7790"
    )
    file.write_text("{", encoding="utf-8")
    assert f"{file} was kept, but cannot be read: Expecting" in run(*install)


def test_a_port_that_is_another_at_every_start_is_refused(tmp_path: Path) -> None:
    args = ["bridges", "install", "puredata", "--to", str(tmp_path), "--set", "osc.port=0"]
    result = CliRunner().invoke(cli, args)
    assert isinstance(result.exception, BridgeError)
    assert "osc.port=7780" in str(result.exception)
    assert not any(tmp_path.iterdir())


def test_reapers_scripts_learn_where_the_program_is(tmp_path: Path) -> None:
    program = Path('/opt/my "music"/rwkv-music-daemon')
    bridges.install(find("reaper"), tmp_path, 7770, program)
    text = (tmp_path / "Scripts/RWKV Music/lib/program.lua").read_text(encoding="utf-8")
    assert text.splitlines()[-1] == 'return "/opt/my \\"music\\"/rwkv-music-daemon"'


@pytest.mark.parametrize(
    ("name", "platform", "places", "expected"),
    [
        ("ableton", "darwin", ["Music/Ableton/User Library"], [0]),
        ("ableton", "win32", ["Documents/Ableton/User Library"], [0]),
        ("ableton", "win32", ["OneDrive/Documents/Ableton/User Library"], [0]),
        ("ableton", "linux", ["Documents/Ableton/User Library"], []),
        ("reaper", "linux", [".config/REAPER"], [0]),
        ("reaper", "win32", ["AppData/Roaming/REAPER"], [0]),
        ("reaper", "darwin", [".config/REAPER"], []),
        ("ardour", "linux", [".config/ardour7", ".config/ardour8", ".config/audacity"], [0, 1]),
        ("ardour", "win32", ["AppData/Local/Ardour8"], [0]),
        ("puredata", "linux", ["Documents"], [0]),
    ],
)
def test_hosts_are_found_where_they_keep_their_things(
    name: str, platform: str, places: list[str], expected: list[int], tmp_path: Path
) -> None:
    for place in places:
        (tmp_path / place).mkdir(parents=True)
    environ = {
        "HOME": str(tmp_path),
        "APPDATA": str(tmp_path / "AppData" / "Roaming"),
        "LOCALAPPDATA": str(tmp_path / "AppData" / "Local"),
    }
    bridge = find(name)
    below = "Remote Scripts" if name == "ableton" else ""
    assert host_folders(bridge, environ, platform) == [
        tmp_path / places[i] / below for i in expected
    ]


def test_a_live_that_never_had_a_script_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its User Library has no folder Remote Scripts."""
    library = tmp_path / "Music" / "Ableton" / "User Library"
    library.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    for target in host_folders(find("ableton"), platform="darwin"):
        bridges.install(find("ableton"), target, 7770, None)
    assert (library / "Remote Scripts" / "RWKV_Music" / "__init__.py").is_file()


def test_a_missing_variable_finds_nothing(tmp_path: Path) -> None:
    assert host_folders(find("reaper"), {"HOME": str(tmp_path)}, "win32") == []


def test_what_cannot_be_done_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = CliRunner().invoke(cli, ["bridges", "install", "cubase"])
    assert isinstance(result.exception, BridgeError)
    assert "only ableton, reaper, ardour, puredata" in str(result.exception)
    result = CliRunner().invoke(cli, ["bridges", "install", "reaper"])
    assert isinstance(result.exception, BridgeError)
    assert "--to DIR (docs/reaper.md)" in str(result.exception)
    assert ": there is no ~/.config/REAPER; " in str(result.exception)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BridgeError, match="cannot be written"):
        bridges.install(find("reaper"), tmp_path / "file", 7770, None)
