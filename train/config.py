"""What a run is made of: nested frozen dataclasses, read from YAML with overrides."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from rwkv_music.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """RWKV-7: `layers` deep, `width` wide (a multiple of 64). dropout acts on both mixes."""

    layers: int = 6
    width: int = 256
    enn: bool = False
    dropout: float = 0.02


@dataclass(frozen=True, slots=True)
class WindowOptions:
    """How windows are cut from pieces.

    length: tokens that the model reads. context_bars: the numbers N of context bars, one drawn a
    window. completion_bars: M, or null for as many bars as fit. start_share: windows that begin
    at the piece's start. transpose: semitones up or down at most. tempo_classes, velocity_classes:
    shifts up or down at most. imprecise_share: windows (of those with context) whose context is
    played as a person would; shaky_share, at most: notes of it that are off.
    """

    length: int = 1024
    context_bars: tuple[int, ...] = (0, 0, 1, 2, 4, 8)
    completion_bars: int | None = None
    start_share: float = 0.15
    transpose: int = 6
    tempo_classes: int = 2
    velocity_classes: int = 3
    imprecise_share: float = 0.3
    shaky_share: float = 0.4


@dataclass(frozen=True, slots=True)
class DataOptions:
    """folder: what `train prepare` wrote. set_weights: how much more often the windows of a set
    are drawn than its number of tokens says."""

    folder: str = "prepared"
    windows: WindowOptions = field(default_factory=WindowOptions)
    set_weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimiserOptions:
    """AdamW in RWKV's groups. schedule: cosine, or wsd (warm up, stay, and decay at the end over
    `decay_share` of the steps). Rates fall to `last_rate` of the full one."""

    rate: float = 1.5e-3
    weight_decay: float = 0.1
    betas: tuple[float, ...] = (0.9, 0.99)
    clip: float = 1.0
    schedule: str = "wsd"
    warmup_steps: int = 100
    decay_share: float = 0.3
    last_rate: float = 0.02


@dataclass(frozen=True, slots=True)
class RunOptions:
    """batch: windows a step, in `accumulate` parts. precision: float32 or bfloat16 (products
    only; the weights stay float32). threads: 0 leaves it to torch."""

    folder: str = "run"
    steps: int = 4000
    batch: int = 4
    accumulate: int = 1
    seed: int = 0
    precision: str = "bfloat16"
    threads: int = 0
    save_every: int = 200
    validate_every: int = 200
    validation_windows: int = 48
    log_every: int = 20


@dataclass(frozen=True, slots=True)
class TrainConfig:
    model: ModelShape = field(default_factory=ModelShape)
    data: DataOptions = field(default_factory=DataOptions)
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    run: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        run, optimiser = self.run, self.optimiser
        _one_of("run.precision", run.precision, ("float32", "bfloat16"))
        _one_of("optimiser.schedule", optimiser.schedule, ("cosine", "wsd"))
        if run.accumulate < 1 or run.batch % run.accumulate:
            raise ConfigError(
                f"run.accumulate: got {run.accumulate}, expected a divisor of run.batch {run.batch}"
            )


def read_config(path: Path | None, overrides: tuple[str, ...] = ()) -> TrainConfig:
    """The YAML file's config, with overrides such as `model.width=192`. Raises ConfigError."""
    table: Any = {}
    if path is not None:
        try:
            table = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set {override}: expected NAME=VALUE")
        _put(table, name.strip().split("."), yaml.safe_load(text), override)
    return _build(TrainConfig, table, "config")


def config_from_table(table: Any, where: str) -> TrainConfig:
    """A config from nested dicts, as a checkpoint stores it. Raises ConfigError."""
    return _build(TrainConfig, table, where)


def config_to_table(config: TrainConfig) -> dict[str, Any]:
    return asdict(config)


def _one_of(name: str, got: str, allowed: tuple[str, ...]) -> None:
    if got not in allowed:
        raise ConfigError(f"{name}: got {got!r}, expected one of {', '.join(allowed)}")


def _put(table: Any, keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        table = table.setdefault(key, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise ConfigError(f"--set {override}: there is no table of that name")
    table[keys[-1]] = value


def _build(kind: type[T], table: Any, where: str) -> T:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: expected a table, got {table!r}")
    types = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"
            raise ConfigError(f"{where}.{key}: unknown{hint}")
        values[key] = _value(types[key], value, f"{where}.{key}")
    return kind(**values)


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        return _build(kind, value, where)
    arguments = get_args(kind)
    if NoneType in arguments:
        return None if value is None else _value(arguments[0], value, where)
    if getattr(kind, "__origin__", None) is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], item, where) for item in value)
    if getattr(kind, "__origin__", None) is dict and isinstance(value, dict):
        return {str(key): _value(arguments[1], item, where) for key, item in value.items()}
    if kind is float and type(value) in (int, str):  # YAML reads 1e-3 as a string
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not kind:
        raise ConfigError(f"{where}: got {value!r}, expected {getattr(kind, '__name__', kind)}")
    return value
