"""The configuration: frozen dataclasses, read from YAML and overrides, checked key by key."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter

from . import directories
from .midi_map import MidiTrigger
from .parameters import PARAMETERS, Generation
from .settings import choice, flag, host, meter, number, setting, text, triggers, whole_number

APIS = ("auto", "alsa", "jack", "coremidi", "winmm")
SOURCES = ("auto", "internal", "midi_clock", "osc", "link")
ENGINES = ("auto", "native", "numpy", "torch", "scripted")
SLOWEST_BPM, FASTEST_BPM = 10.0, 999.0


@dataclass(frozen=True, slots=True)
class MidiConfig:
    """MIDI ports and the player's own commands"""

    api: str = setting("auto", choice(*APIS), "MIDI system.")
    input: str = setting(
        "RWKV Music In", text("a port name", may_be_empty=False), "Port that is listened to."
    )
    output: str = setting(
        "RWKV Music Out", text("a port name", may_be_empty=False), "Port that is played on."
    )
    clock_input: str = setting(
        "", text("a port name, or nothing"), "Port of the MIDI clock; empty: the input's own."
    )
    triggers: Mapping[str, MidiTrigger] = field(
        default_factory=dict,
        metadata={
            "read": triggers,
            "help": "Messages that are commands, such as {trigger: cc 64 ch 1, stop: note 21}.",
        },
    )


@dataclass(frozen=True, slots=True)
class OscConfig:
    """Where requests are received"""

    host: str = setting("127.0.0.1", host, "Address; another one opens the service to the network.")
    port: int = setting(7770, whole_number(0, 65535), "UDP port; 0 takes a free one.")


@dataclass(frozen=True, slots=True)
class TransportConfig:
    """Who says where the bar lines are"""

    source: str = setting("auto", choice(*SOURCES), "Clock that is followed.")
    tempo_bpm: float = setting(
        120.0, number(SLOWEST_BPM, FASTEST_BPM), "Quarters a minute until a clock says otherwise."
    )
    meter: Meter = field(
        default_factory=Meter, metadata={"read": meter, "help": "Meter until someone changes it."}
    )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What makes the music"""

    path: str = setting("", text("a path, or nothing"), "Weights; empty: the embedded model.")
    engine: str = setting("auto", choice(*ENGINES), "What runs the model.")


@dataclass(frozen=True, slots=True)
class MonitorConfig:
    """The web page"""

    enabled: bool = setting(False, flag, "Whether it is started.")
    port: int = setting(7771, whole_number(1, 65535), "TCP port on 127.0.0.1.")


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The service on this machine"""

    data_dir: str = setting("", text("a path, or nothing"), "Memory; empty: the system's place.")

    @property
    def data_path(self) -> Path:
        """The folder that `data_dir` means; it need not exist."""
        return Path(self.data_dir).expanduser() if self.data_dir else directories.data_directory()


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """What is written on standard error"""

    level: str = setting("info", choice("debug", "info", "warning", "error"), "Least that is told.")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. Equal to what `config.yaml` says by default."""

    midi: MidiConfig = field(default_factory=MidiConfig)
    osc: OscConfig = field(default_factory=OscConfig)
    transport: TransportConfig = field(default_factory=TransportConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    generation: Generation = field(default_factory=Generation)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    service: ServiceConfig = field(default_factory=ServiceConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)

    def warnings(self) -> tuple[str, ...]:
        """What the user should know about settings that are allowed but dangerous."""
        if ipaddress.ip_address(self.osc.host).is_loopback:
            return ()
        return (
            f"osc.host: {self.osc.host} is not this machine alone: whoever reaches it on the"
            " network can control the service; osc.host: 127.0.0.1 keeps them out",
        )


_SECTIONS = {f.name: type(getattr(Config(), f.name)) for f in fields(Config)}


def load_config(path: Path | str | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read the file (None: the user's own, if there is one), then `section.key=value` overrides.

    Raises ConfigError, which names the file or `--set` and the key.
    """
    tree: dict[str, Any] = {}
    if path is None and directories.config_file().exists():
        path = directories.config_file()
    if path is not None:
        read = _read_file(Path(path))
        _build(read, str(path))  # complains with the file's name
        tree = {name: dict(section or {}) for name, section in read.items()}
    for override in overrides:
        section, key, value = _parse_override(override)
        _override(tree.setdefault(section, {}), key, value)
        _build({section: tree[section]}, "--set")
    return from_dict(tree)


def to_dict(config: Config) -> dict[str, Any]:
    """The configuration as JSON can say it; `from_dict` reads it back."""
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config)}


def from_dict(tree: Mapping[str, Any]) -> Config:
    """Raises ConfigError."""
    return _build(tree, "configuration")


def to_yaml(config: Config) -> str:
    """The effective configuration as a file that `load_config` reads."""
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, Meter | MidiTrigger):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value if isinstance(value, bool | int | float | str) else str(value)


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text: {error.reason}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path}: expected sections such as midi: and osc:, got {tree!r}")
    return tree


def _parse_override(override: str) -> tuple[str, str, object]:
    """`a.b=c` as section, key and value. Text keys take c as it stands, the others as YAML."""
    name, equals, raw = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot):
        raise ConfigError(f"--set {override}: expected section.key=value, such as osc.port=7770")
    default = getattr(_SECTIONS[section](), key, None) if section in _SECTIONS else None
    if isinstance(default, str | Meter) or key.startswith("triggers."):
        return section, key, raw
    try:
        return section, key, yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {name}: expected a YAML value, got {raw!r}") from error


def _override(section: dict[str, Any], key: str, value: object) -> None:
    """Set a key, or one entry of a map: `triggers.stop`."""
    outer, dot, inner = key.partition(".")
    if not dot:
        section[key] = value
        return
    entries = section.get(outer) or {}
    section[outer] = {**(entries if isinstance(entries, Mapping) else {}), inner: value}


def _build(tree: Mapping[str, Any], where: str) -> Config:
    sections: dict[str, Any] = {}
    for name, section in tree.items():
        if name not in _SECTIONS:
            raise _unknown(where, str(name), _all_keys())
        if section is not None and not isinstance(section, Mapping):
            raise ConfigError(f"{where}: {name}: expected keys below it, got {section!r}")
        values = {
            key: _read(where, str(name), key, value) for key, value in (section or {}).items()
        }
        sections[name] = _SECTIONS[name](**values)
    return Config(**sections)


def _read(where: str, section: str, key: object, value: object) -> Any:
    place = f"{section}.{key}"
    readers = {f.name: f.metadata.get("read") for f in fields(_SECTIONS[section])}
    if key not in readers:
        raise _unknown(where, place, _all_keys())
    if section == "generation":
        return _parameter(where, str(key), value)
    try:
        return readers[str(key)](value)  # type: ignore[misc]  # each key but generation's has one
    except ConfigError as error:
        raise ConfigError(f"{where}: {place}: {error}") from error


def _parameter(where: str, name: str, value: object) -> Any:
    try:
        return PARAMETERS[name].check(value)
    except ConfigError as error:
        raise ConfigError(f"{where}: generation.{error}") from error


def _all_keys() -> list[str]:
    return [
        *_SECTIONS,
        *(f"{name}.{f.name}" for name, kind in _SECTIONS.items() for f in fields(kind)),
    ]


def _unknown(where: str, place: str, known: list[str]) -> ConfigError:
    near = difflib.get_close_matches(place, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "`config show` lists the keys"
    return ConfigError(f"{where}: {place}: unknown key; {hint}")
