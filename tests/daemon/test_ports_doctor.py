"""doctor's findings, without a MIDI system."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner
from rwkv_music_daemon import diagnosis, requirements
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.commands.doctor import command
from rwkv_music_daemon.config_sections import (
    Config,
    MidiConfig,
    ModelConfig,
    OscConfig,
    ServiceConfig,
    TransportConfig,
)
from rwkv_music_daemon.diagnosis import Finding, State
from rwkv_music_daemon.ports.memory import MemorySystem

from rwkv_music.errors import PortError


def test_a_free_osc_port_is_in_order() -> None:
    assert diagnosis.osc_port("127.0.0.1", 0).state is State.OK


def test_an_osc_port_that_a_stranger_holds_is_missing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        finding = diagnosis.osc_port("127.0.0.1", stranger.getsockname()[1])
    assert finding.state is State.MISSING
    assert "osc.port" in finding.remedy


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (TransportConfig(), "MIDI clock on 'In', OSC, or our own at 120 BPM"),
        (TransportConfig("internal", tempo_bpm=97.5), "our own, at 97.5 BPM"),
        (TransportConfig("midi_clock"), "'In'"),
        (TransportConfig("osc"), "bridge"),
        (TransportConfig(link=True), "Ableton Link, or our own"),
    ],
)
def test_whose_clock_is_followed_is_said(
    config: TransportConfig, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "link_absence", lambda: "")
    finding = diagnosis.clock(config, "In")
    assert finding.state is State.OK
    assert said in finding.what


@pytest.mark.parametrize("config", [TransportConfig("link"), TransportConfig(link=True)])
def test_a_session_that_is_wanted_and_cannot_be_had_is_missing(
    config: TransportConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "link_absence", lambda: "pip install it")
    finding = diagnosis.clock(config, "In")
    assert (finding.state, finding.remedy) == (State.MISSING, "pip install it")


def model_findings(folder: Path, **settings: str) -> list[Finding]:
    config = Config(model=ModelConfig(**settings), service=ServiceConfig(str(folder)))
    return [*diagnosis.model_and_memory(config)]


def test_a_model_that_cannot_be_loaded_is_missing(tmp_path: Path) -> None:
    path = str(tmp_path / "nothing.safetensors")
    (finding,) = model_findings(tmp_path, path=path, engine="numpy")
    assert finding.state is State.MISSING
    assert "nothing.safetensors" in finding.what
    (finding,) = model_findings(tmp_path, engine="scripted")
    assert finding.state is State.OK


def test_a_memory_to_begin_from_is_looked_for_and_tried(tmp_path: Path) -> None:
    _, memory = model_findings(tmp_path, engine="numpy", memory="pop")
    assert (memory.state, memory.remedy) == (State.OK, "")
    assert "'pop'" in memory.what
    _, memory = model_findings(tmp_path, engine="numpy", memory="polka")
    assert memory.state is State.MISSING
    assert "no memory 'polka'; there are: classical, pop, song" in memory.what
    assert memory.remedy
    _, memory = model_findings(tmp_path, engine="scripted", memory="pop")
    assert memory.state is State.MISSING  # it is another model's
    assert "choose another" in memory.remedy
    _, memory = model_findings(tmp_path, path="nothing", engine="numpy", memory="polka")
    assert "polka" in memory.what  # also where the model is missing


def folder_findings(folder: Path) -> list[Finding]:
    config = Config(service=ServiceConfig(str(folder)), osc=OscConfig(port=7799))
    return [*diagnosis.folders(config)]


def test_a_folder_that_can_be_written_is_in_order(tmp_path: Path) -> None:
    (finding,) = folder_findings(tmp_path / "new")
    assert finding.state is State.OK
    assert finding.what.endswith("new, which will be made")
    assert not (tmp_path / "new").exists()  # to look is not to make
    (finding,) = folder_findings(tmp_path)
    assert finding.what.endswith(str(tmp_path))


@pytest.mark.parametrize("name", ["", "memories", "models"])
def test_a_folder_that_cannot_be_used_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    access = requirements.os.access
    monkeypatch.setattr(
        requirements.os, "access", lambda path, mode: path != folder and access(path, mode)
    )
    (finding,) = folder_findings(tmp_path)
    assert finding.state is State.MISSING
    assert finding.what.startswith(f"service.data_dir: {folder} is not to be")
    assert "let this user" in finding.remedy


def test_a_file_in_the_place_of_a_folder_is_missing(tmp_path: Path) -> None:
    (tmp_path / "memories").write_text("", encoding="utf-8")
    (finding,) = folder_findings(tmp_path)
    assert finding.state is State.MISSING
    assert finding.what == f"service.data_dir: {tmp_path / 'memories'} is no folder"


@pytest.mark.parametrize("name", ["learned.json", "destinations-7799.json"])
def test_a_file_of_the_services_that_is_damaged_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{", encoding="utf-8")
    _, damaged = folder_findings(tmp_path)
    assert damaged.state is State.ABSENT  # it is ignored, and written again
    assert name in damaged.what
    assert damaged.remedy


def test_only_the_system_that_is_needed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.sys, "platform", "linux")
    there = {"jack": None}
    monkeypatch.setattr(diagnosis, "unavailable", lambda api: there.get(api, "not here"))
    states = [finding.state for finding in diagnosis.midi_systems("auto")]
    assert states == [State.ABSENT, State.OK]
    states = [finding.state for finding in diagnosis.midi_systems("alsa")]
    assert states == [State.MISSING, State.OK]
    there.clear()
    states = [finding.state for finding in diagnosis.midi_systems("auto")]
    assert states == [State.ABSENT, State.ABSENT]


def test_a_jack_client_that_was_not_built_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "apis_here", lambda: ("jack",))
    monkeypatch.setattr(diagnosis, "unavailable", lambda api: None)
    monkeypatch.setattr(diagnosis.jack_extension, "absence", "")
    assert [f.state for f in diagnosis.midi_systems("auto")] == [State.OK]
    monkeypatch.setattr(diagnosis.jack_extension, "absence", "no module named _jack")
    monkeypatch.setattr(diagnosis.jack_extension, "remedy", "install a C++ compiler")
    found = list(diagnosis.midi_systems("auto"))
    assert [f.state for f in found] == [State.OK, State.ABSENT]
    assert "no module named _jack" in found[1].what
    assert "compiler" in found[1].remedy


def test_without_any_system_one_thing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(api: str, clock: object) -> None:
        raise PortError("there is none")

    monkeypatch.setattr(diagnosis, "open_system", none)
    assert diagnosis.virtual_port(Config()).state is State.MISSING
    wants_jack = Config(midi=MidiConfig(api="jack"))
    assert diagnosis.virtual_port(wants_jack).state is State.ABSENT  # jack itself is missing


def test_a_keyboard_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    system = MemorySystem(ManualClock())
    system.add_source("USB: Launchkey 49 MIDI 1")
    monkeypatch.setattr(diagnosis, "open_system", lambda api, clock: system)
    assert list(diagnosis.wanted_ports(Config())) == []
    midi = MidiConfig(connect_from=("launchkey",), connect_to=("FLUID Synth",))
    there, absent = diagnosis.wanted_ports(Config(midi=midi))
    assert (there.state, there.remedy) == (State.OK, "")
    assert "USB: Launchkey 49 MIDI 1" in there.what
    assert absent.state is State.ABSENT
    assert "'FLUID Synth'" in absent.what
    assert "rwkv-music-daemon ports" in absent.remedy


def test_a_compiler_is_named_by_what_is_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, words in (("linux", "apt install g++"), ("darwin", "xcode-select --install")):
        monkeypatch.setattr(diagnosis.sys, "platform", platform)
        assert words in diagnosis._compiler_remedy()


def test_pipewire_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis.sys, "platform", "linux")
    monkeypatch.setattr(diagnosis, "unavailable", lambda api: "not here")
    monkeypatch.setattr(diagnosis.shutil, "which", lambda name: f"/usr/bin/{name}")
    jack = list(diagnosis.midi_systems("auto"))[1]
    assert "pw-jack rwkv-music-daemon run --set midi.api=jack" in jack.remedy


def test_a_program_and_a_package_that_are_not_there_are_only_absent() -> None:
    absent = diagnosis.program("Thing", ("no-such-program",), "does things", "get it")
    assert absent.state is State.ABSENT
    assert absent.remedy == "get it"
    absent = diagnosis.package("no_such_package", "plot", "draws")
    assert absent.state is State.ABSENT
    assert "rwkv-music[plot]" in absent.remedy
    wanted = diagnosis.package("no_such_package", "monitor", "serves", is_needed=True)
    assert wanted.state is State.MISSING


@pytest.mark.parametrize(("state", "code"), [(State.ABSENT, 0), (State.MISSING, 1)])
def test_the_exit_code_tells_whether_something_is_missing(
    state: State, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [Finding(State.OK, "one thing"), Finding(state, "another", "get it")]
    monkeypatch.setattr("rwkv_music_daemon.commands.doctor.examine", lambda config: findings)
    done = CliRunner().invoke(command, [])
    assert done.exit_code == code
    assert f"{state.value:8}another\n        -> get it" in done.output
