"""What a run is made of: nested frozen dataclasses, read from YAML with overrides."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from rwkv_music.errors import ConfigError
from rwkv_music.model.config import HEAD_SIZE

from .text_files import write_text

T = TypeVar("T")

# Layers and width of the sizes that have a name. From 0.1B on they are those of the public RWKV-7
# models; `deep` is what the public training code advises for music.
SIZES = {
    "tiny": (4, 128),
    "starter": (6, 256),
    "small": (12, 384),
    "base": (12, 512),
    "deep": (29, 512),
    "0.1B": (12, 768),
    "0.4B": (24, 1024),
    "1.5B": (24, 2048),
    "3B": (32, 2560),
}
ORDERS = ("random", "sliding", "pieces")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """RWKV-7: `layers` deep, `width` wide (a multiple of 64); in a file, `size: small` stands for
    both. enn: RWKV-8's. dropout acts on both mixes. start: weights to begin with, as `train export`
    and `train import` write them; the shape is then theirs."""

    layers: int = 6
    width: int = 256
    enn: bool = False
    dropout: float = 0.02
    start: str = ""


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
    """folder: what `train prepare` wrote. order: `random` windows; `sliding`, each bar in one
    completion an epoch; `pieces`, whole pieces read through `windows.length` tokens a step, the
    state going on from step to step. packed: rows are filled with further windows, so that no
    token is padding. set_weights: how much more often the windows of a set are drawn than its
    number of tokens says (order random)."""

    folder: str = "prepared"
    order: str = "random"
    packed: bool = True
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
    """batch: rows a step, of all processes together, in `accumulate` parts. device: auto takes the
    GPU if there is one. precision: float32 or bfloat16 (products only; the weights stay float32).
    recompute: keep only what enters each layer, for less memory and a third more time. compile:
    fuse the layers with torch.compile. threads: 0 leaves it to torch. samples: continuations that
    each validation draws and plays into TensorBoard."""

    folder: str = "run"
    steps: int = 4000
    batch: int = 4
    accumulate: int = 1
    seed: int = 0
    device: str = "auto"
    precision: str = "bfloat16"
    recompute: bool = False
    compile: bool = False
    threads: int = 0
    save_every: int = 200
    validate_every: int = 200
    validation_windows: int = 48
    samples: int = 2
    log_every: int = 20


@dataclass(frozen=True, slots=True)
class TrainConfig:
    model: ModelShape = field(default_factory=ModelShape)
    data: DataOptions = field(default_factory=DataOptions)
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    run: RunOptions = field(default_factory=RunOptions)

    def __post_init__(self) -> None:
        run, windows = self.run, self.data.windows
        _one_of("run.precision", run.precision, ("float32", "bfloat16"))
        _one_of("run.device", run.device, ("auto", "cpu", "cuda"))
        _one_of("optimiser.schedule", self.optimiser.schedule, ("cosine", "wsd"))
        _one_of("data.order", self.data.order, ORDERS)
        if run.accumulate < 1 or run.batch % run.accumulate:
            raise ConfigError(
                f"run.accumulate: got {run.accumulate}, expected a divisor of run.batch {run.batch}"
            )
        self._check_ranges()
        if not windows.context_bars or min(windows.context_bars) < 0:
            raise ConfigError(
                f"data.windows.context_bars: got {list(windows.context_bars)}, expected numbers of"
                " bars, as [0, 4, 8]"
            )
        if len(self.optimiser.betas) != 2:
            raise ConfigError(f"optimiser.betas: got {self.optimiser.betas}, expected two numbers")
        if self.data.order != "random" and self.data.set_weights:
            raise ConfigError(
                "data.set_weights: pieces are read once an epoch each, whatever their set; leave it"
                " out, or choose data.order random"
            )

    def _check_ranges(self) -> None:
        model, windows, optimiser, run = self.model, self.data.windows, self.optimiser, self.run
        if model.width < HEAD_SIZE or model.width % HEAD_SIZE:
            raise ConfigError(f"model.width: got {model.width}, expected a multiple of {HEAD_SIZE}")
        least: dict[str, tuple[float | None, float]] = {
            "model.layers": (model.layers, 1),
            "data.windows.length": (windows.length, 1),
            "data.windows.completion_bars": (windows.completion_bars, 1),
            "data.windows.transpose": (windows.transpose, 0),
            "data.windows.tempo_classes": (windows.tempo_classes, 0),
            "data.windows.velocity_classes": (windows.velocity_classes, 0),
            "optimiser.rate": (optimiser.rate, 0),
            "optimiser.weight_decay": (optimiser.weight_decay, 0),
            "optimiser.clip": (optimiser.clip, 0),
            "optimiser.warmup_steps": (optimiser.warmup_steps, 0),
            "run.steps": (run.steps, 1),
            "run.batch": (run.batch, 1),
            "run.threads": (run.threads, 0),
            "run.save_every": (run.save_every, 1),
            "run.validate_every": (run.validate_every, 1),
            "run.validation_windows": (run.validation_windows, 0),
            "run.samples": (run.samples, 0),
            "run.log_every": (run.log_every, 1),
        }
        for name, (value, fewest) in least.items():
            if value is not None and not value >= fewest:  # NaN is not either
                raise ConfigError(f"{name}: got {value}, expected {fewest} or more")
        shares = {
            "model.dropout": model.dropout,
            "data.windows.start_share": windows.start_share,
            "data.windows.imprecise_share": windows.imprecise_share,
            "data.windows.shaky_share": windows.shaky_share,
            "optimiser.decay_share": optimiser.decay_share,
            "optimiser.last_rate": optimiser.last_rate,
        }
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"{name}: got {share}, expected a share, from 0 to 1")


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
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {override}: no YAML: {error}") from error
        _put(table, name.strip().split("."), value, override)
    _expand_size(table)
    return _build(TrainConfig, table, "config")


def config_from_table(table: Any, where: str) -> TrainConfig:
    """A config from nested dicts, as a checkpoint stores it. Raises ConfigError."""
    return _build(TrainConfig, table, where)


def config_to_table(config: TrainConfig) -> dict[str, Any]:
    return asdict(config)


def write_config(path: Path, config: TrainConfig) -> None:
    """Write a config as YAML that `read_config` reads again."""
    table = json.loads(json.dumps(config_to_table(config)))  # tuples become lists
    write_text(path, yaml.safe_dump(table, sort_keys=False))


def _expand_size(table: Any) -> None:
    """`model.size` as layers and width, where the table does not say otherwise."""
    model = table.get("model") if isinstance(table, dict) else None
    if isinstance(model, dict) and "size" in model:
        size = str(model.pop("size"))
        if size not in SIZES:
            raise ConfigError(f"model.size: got {size!r}, expected one of {', '.join(SIZES)}")
        layers, width = SIZES[size]
        model.setdefault("layers", layers)
        model.setdefault("width", width)


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
