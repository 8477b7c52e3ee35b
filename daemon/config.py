"""The configuration of a run: a YAML file and overrides, checked key by key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from rwkv_music.errors import ConfigError
from rwkv_music.music import Meter

from . import directories, settings
from .config_sections import Config, MidiConfig
from .midi_map import MidiTrigger
from .parameters import PARAMETERS
from .ports.apis import NO_VIRTUAL_PORTS, apis_here

__all__ = ["Config", "from_dict", "load_config", "to_dict", "to_yaml"]

_SECTIONS = {f.name: type(getattr(Config(), f.name)) for f in fields(Config)}


def load_config(path: Path | str | None = None, overrides: Iterable[str] = ()) -> Config:
    """Read the file (None: the user's own, if there is one), then `section.key=value` overrides.

    A relative path begins in the file's folder, and in an override where we are. Raises
    ConfigError, which names the file or `--set` and the key.
    """
    tree: dict[str, Any] = {}
    if path is None and directories.config_file().exists():
        path = directories.config_file()
    if path is not None:
        read = _read_file(Path(path))
        _build(read, str(path))  # complains with the file's name
        tree = {name: dict(section or {}) for name, section in read.items()}
        _begin_paths_in(Path(path).absolute().parent, tree)
    for override in overrides:
        section, key, value = _parse_override(override)
        _override(tree.setdefault(section, {}), key, value)
        _build({section: tree[section]}, "--set")
    config = from_dict(tree)
    _check_port_names(config.midi)
    return config


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
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that stands twice: one would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text: {error.reason}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {_yaml_problem(error)}") from error
    if tree is None:
        return {}
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path}: expected sections such as midi: and osc:, got {tree!r}")
    return tree


def _begin_paths_in(folder: Path, tree: dict[str, dict[str, Any]]) -> None:
    """A path in a file means the same wherever the service is started, in the background too."""
    for name, section in tree.items():
        if section.get("engine") == "scripted":
            continue  # its path is the name of a script
        for f in fields(_SECTIONS[name]):
            path = str(section.get(f.name) or "").strip()
            is_path = bool(path) and f.metadata.get("read") is settings.place
            if is_path and not Path(path).expanduser().is_absolute():
                section[f.name] = str(folder / path)


def _check_port_names(midi: MidiConfig) -> None:
    """One client cannot have two ports of a name; elsewhere both ends of another's may have it."""
    apis = apis_here() if midi.api == "auto" else (midi.api,)
    if set(apis) <= set(NO_VIRTUAL_PORTS):
        return
    for key, name in (("midi.input", midi.input), ("midi.clock_input", midi.clock_input)):
        if name == midi.output:
            raise ConfigError(f"{key} and midi.output: expected two names, got {name!r} for both")


def _yaml_problem(error: Exception) -> str:
    """What is wrong and where, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: expected YAML: {error.problem}"
    return f"expected YAML: {error}"


def _parse_override(override: str) -> tuple[str, str, object]:
    """`a.b=c` as section, key and value: c as it stands for a text, else read as YAML."""
    name, equals, raw = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot):
        full = [key for key in _all_keys() if key.partition(".")[2] == name.strip()]
        hint = f"did you mean {full[0]}?" if equals and full else "such as osc.port=7770"
        raise ConfigError(f"--set {override}: expected section.key=value; {hint}")
    default = getattr(_SECTIONS[section](), key, None) if section in _SECTIONS else None
    is_list = isinstance(default, tuple) and raw.lstrip().startswith("[")
    is_text = isinstance(default, str | Meter | tuple) or key.startswith("triggers.")
    if is_text and not is_list:
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
    begun = [key for key in known if key.startswith(place)]
    near = begun or difflib.get_close_matches(place, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "`config show` lists the keys"
    return ConfigError(f"{where}: {place}: unknown key; {hint}")
