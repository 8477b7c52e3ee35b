"""doctor's findings, without a MIDI system."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner
from rwkv_music_daemon import diagnosis
from rwkv_music_daemon.commands.doctor import command
from rwkv_music_daemon.config_sections import Config, MidiConfig, TransportConfig
from rwkv_music_daemon.diagnosis import Finding, State

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


def test_a_model_that_cannot_be_loaded_is_missing(tmp_path) -> None:
    finding = diagnosis.model(str(tmp_path / "nothing.safetensors"), "numpy")
    assert finding.state is State.MISSING
    assert "nothing.safetensors" in finding.what
    assert diagnosis.model("", "scripted").state is State.OK


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


def test_without_any_system_one_thing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(api: str, clock: object) -> None:
        raise PortError("there is none")

    monkeypatch.setattr(diagnosis, "open_system", none)
    assert diagnosis.virtual_port(Config()).state is State.MISSING
    wants_jack = Config(midi=MidiConfig(api="jack"))
    assert diagnosis.virtual_port(wants_jack).state is State.ABSENT  # jack itself is missing


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


@pytest.mark.parametrize(("state", "code"), [(State.ABSENT, 0), (State.MISSING, 1)])
def test_the_exit_code_tells_whether_something_is_missing(
    state: State, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [Finding(State.OK, "one thing"), Finding(state, "another", "get it")]
    monkeypatch.setattr("rwkv_music_daemon.commands.doctor.examine", lambda config: findings)
    done = CliRunner().invoke(command, [])
    assert done.exit_code == code
    assert f"{state.value:8}another\n        -> get it" in done.output
