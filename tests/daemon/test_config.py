"""Configuration files and overrides: typed, complete, and clear about mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rwkv_music_daemon import config_document, config_sections, directories
from rwkv_music_daemon.config import Config, from_dict, load_config, to_dict, to_yaml
from rwkv_music_daemon.midi_map import MidiTrigger
from rwkv_music_daemon.parameters import PARAMETERS

from rwkv_music import model
from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter

ROOT = Path(__file__).resolve().parents[2]
CONTRACT_KEYS = {
    "midi.api": "auto",
    "midi.input": "RWKV Music In",
    "midi.output": "RWKV Music Out",
    "midi.clock_input": "",
    "osc.host": "127.0.0.1",
    "osc.port": 7770,
    "transport.source": "auto",
    "transport.tempo_bpm": 120.0,
    "transport.meter": "4/4",
    "model.path": "",
    "model.engine": "auto",
    "transport.link": False,
    "monitor.enabled": False,
    "monitor.port": 7771,
    "service.data_dir": "",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaint(text: str) -> str:
    """What is said about a config.yaml with this text."""
    Path("config.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_config("config.yaml")
    return str(error.value)


def test_the_defaults_are_the_contracts() -> None:
    tree = to_dict(Config())
    for key, value in CONTRACT_KEYS.items():
        section, name = key.split(".")
        assert tree[section][name] == value, key
    assert tree["generation"] == {p.name: p.default for p in PARAMETERS.values()}


def test_the_engines_are_those_that_the_library_loads() -> None:
    assert config_sections.ENGINES == model.ENGINES


def test_without_a_file_there_are_defaults() -> None:
    assert load_config() == Config()


def test_the_users_own_file_is_found_and_a_named_one_wins(home: Path) -> None:
    (home / "rwkv-music").mkdir()
    (home / "rwkv-music" / "config.yaml").write_text("osc: {port: 7001}")
    assert load_config().osc.port == 7001
    Path("other.yaml").write_text("osc: {port: 7002}")
    assert load_config("other.yaml").osc.port == 7002


def test_a_relative_path_in_a_file_begins_where_the_file_is(home: Path) -> None:
    (home / "below").mkdir()
    Path("below/config.yaml").write_text(
        "model: {path: waltz.safetensors}\nservice: {data_dir: ~/it}\nlogging: {folder: ../logs}"
    )
    config = load_config("below/config.yaml")
    assert config.model.path == str(home / "below" / "waltz.safetensors")
    assert config.service.data_dir == "~/it"
    assert Path(config.logging.folder).resolve() == home / "logs"
    assert load_config("below/config.yaml", ["model.path=polka"]).model.path == "polka"
    Path("below/config.yaml").write_text("model: {path: steps, engine: scripted}")
    assert load_config("below/config.yaml").model.path == "steps"  # the name of a script


@pytest.mark.parametrize("key", ["midi.input", "midi.clock_input"])
def test_ports_of_ours_have_names_of_their_own(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same = [f"{key}=loopMIDI Port", "midi.output=loopMIDI Port"]
    with pytest.raises(ConfigError, match=f"{key} and midi.output: .*'loopMIDI Port'"):
        load_config(None, same)
    Path("config.yaml").write_text("midi: {input: A, output: A}")
    assert load_config("config.yaml", ["midi.output=B"]).midi.input == "A"
    assert load_config(None, [*same, "midi.api=winmm"]).midi.output == "loopMIDI Port"
    monkeypatch.setattr("sys.platform", "win32")  # others' ports, of which both ends may be one's
    assert load_config(None, same).midi.output == "loopMIDI Port"


def test_an_override_wins_over_the_file_and_the_last_over_the_first() -> None:
    Path("config.yaml").write_text("osc: {port: 7001}\nmodel: {engine: numpy}")
    config = load_config("config.yaml", ["osc.port=7003", "osc.port=7004", "model.path=steps"])
    assert (config.osc.port, config.model.engine, config.model.path) == (7004, "numpy", "steps")


def test_overrides_are_typed_by_their_key() -> None:
    config = load_config(
        None,
        [
            "midi.input=24:0",  # YAML 1.1 would read a sexagesimal number
            "midi.output=12",
            "midi.clock_input=",
            "midi.connect_from=24:0",
            "midi.connect_to=[A synth, 'in: 2']",
            "transport.meter=6/8",
            "transport.tempo_bpm=90",
            "generation.temperature=1",
            "generation.key=none",
            "monitor.enabled=true",
            "midi.triggers.stop=note 36",
            "midi.triggers.toggle=cc 64 ch 16",
        ],
    )
    assert (config.midi.input, config.midi.output, config.midi.clock_input) == ("24:0", "12", "")
    assert config.midi.connect_from == ("24:0",)
    assert config.midi.connect_to == ("A synth", "in: 2")
    assert from_dict(to_dict(config)) == config
    assert config.transport.meter == Meter(6, 8)
    assert config.transport.tempo_bpm == 90.0
    assert config.generation.temperature == 1.0
    assert config.generation.key == "none"
    assert config.monitor.enabled is True
    assert config.midi.triggers == {
        "stop": MidiTrigger("note", 36),
        "toggle": MidiTrigger("cc", 64, 16),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("midi: {input: 3}", "config.yaml: midi.input: expected a port name, got 3"),
        (
            "midi: {connect_to: [Synth, '']}",
            "config.yaml: midi.connect_to: expected names of ports or parts of them",
        ),
        ("midi: {connect_from: [3]}", "midi.connect_from: expected names of ports"),
        ("midi: {input: }", "config.yaml: midi.input: expected a port name, got nothing"),
        (
            "midi: {inptu: X}",
            "config.yaml: midi.inptu: unknown key; did you mean midi.input?",
        ),
        ("mdi: {input: X}", "config.yaml: mdi: unknown key; did you mean midi?"),
        ("midi: X", "config.yaml: midi: expected keys below it, got 'X'"),
        (
            "osc: {port: true}",
            "config.yaml: osc.port: expected a whole number from 0 to 65535, got True",
        ),
        (
            "osc: {host: example}",
            "config.yaml: osc.host: expected an IPv4 address of this machine,"
            " such as \"127.0.0.1\", got 'example'",
        ),
        (
            "generation: {bars: 65}",
            "config.yaml: generation.bars: expected a whole number from 1 to 64, got 65",
        ),
        (
            "generation: {temprature: 1}",
            "config.yaml: generation.temprature: unknown key; did you mean generation.temperature?",
        ),
        (
            "transport: {tempo_bpm: .nan}",
            "config.yaml: transport.tempo_bpm: expected a number from 10 to 999, got nan",
        ),
        (
            f"transport: {{tempo_bpm: {10**400}}}",
            "config.yaml: transport.tempo_bpm: expected a number from 10 to 999",
        ),
        ("osc: {port: 1}\nosc: {port: 2}", "line 2, column 1: expected YAML: osc stands twice"),
        ("osc: [", "config.yaml: line 1, column 7: expected YAML"),
        ("? [a]\n: 1", "config.yaml: line 1, column 3: expected YAML: found unhashable key"),
        ("- 1", "config.yaml: expected sections such as midi: and osc:, got [1]"),
        (
            "midi: {triggers: {stop: note 36, undo: note 36 ch 2}}",
            "config.yaml: midi.triggers: undo and stop have the same message",
        ),
        (
            "midi: {triggers: {jump: note 36}}",
            "config.yaml: midi.triggers: expected commands among",
        ),
        ("midi: {triggers: {stop: note 128}}", "expected a number from 0 to 127, got 128"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, expected: str) -> None:
    assert expected in complaint(text)


def test_a_meter_without_tokens_lists_those_that_have() -> None:
    assert "transport.meter: expected one of 1/4," in complaint('transport: {meter: "7/4"}')


def test_a_file_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read: No such file"):
        load_config("missing.yaml")
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml: expected"):
        load_config("binary.yaml")


@pytest.mark.parametrize("override", ["osc.port", "port=1", "=", "osc=1"])
def test_an_override_of_another_form_is_an_error(override: str) -> None:
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        load_config(None, [override])


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("temperature=1", "generation.temperature"),
        ("generation.temp=1", "generation.temperature"),
        ("midi.connect=x", "midi.connect_from"),
    ],
)
def test_a_key_that_is_begun_or_lacks_its_section_is_found(override: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"did you mean {key}\?"):
        load_config(None, [override])


def test_a_wrong_override_names_set() -> None:
    with pytest.raises(
        ConfigError, match=r"^--set: osc\.prot: unknown key; did you mean osc\.port"
    ):
        load_config(None, ["osc.prot=1"])


def test_a_configuration_survives_json_and_yaml() -> None:
    config = load_config(
        None, ["midi.triggers.undo=program 5", "transport.meter=12/8", "generation.seed=7"]
    )
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    for text in (to_yaml(config), config_document.commented_yaml(config)):
        Path("again.yaml").write_text(text)
        assert load_config("again.yaml") == config


def test_what_is_dangerous_is_warned_about() -> None:
    assert Config().warnings() == ()
    assert load_config(None, ["osc.host=localhost"]).warnings() == ()
    (warning,) = load_config(None, ["osc.host=0.0.0.0"]).warnings()
    assert "network" in warning
    assert load_config(None, ["generation.count_in=2"]).warnings() == ()


def test_the_shipped_file_is_the_defaults() -> None:
    assert load_config(ROOT / "config.yaml") == Config()
    assert (ROOT / "config.yaml").read_text() == config_document.commented_yaml(Config())
    assert (ROOT / "docs" / "configuration.md").read_text() == config_document.markdown()


def test_a_home_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(unknown))
    with pytest.raises(ConfigError, match="set HOME or XDG_CONFIG_HOME"):
        directories.config_file({}, "linux")
    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(ConfigError, match=r"model\.path: expected a path, got '~x/y'"):
        load_config(None, ["model.path=~x/y"])


def test_files_live_where_the_system_keeps_them() -> None:
    home = {"HOME": "/home/ann"}
    assert directories.config_file(home, "linux") == Path(
        "/home/ann/.config/rwkv-music/config.yaml"
    )
    assert directories.config_file(home | {"XDG_CONFIG_HOME": "/x"}, "linux") == Path(
        "/x/rwkv-music/config.yaml"
    )
    assert directories.config_file(home | {"XDG_CONFIG_HOME": "not/absolute"}, "linux") == Path(
        "/home/ann/.config/rwkv-music/config.yaml"
    )
    assert directories.data_directory(home, "darwin") == Path(
        "/home/ann/Library/Application Support/rwkv-music"
    )
    assert directories.data_directory({"USERPROFILE": "u", "LOCALAPPDATA": "l"}, "win32") == Path(
        "l/rwkv-music"
    )
