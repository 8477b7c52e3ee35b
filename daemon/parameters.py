"""The parameters of a completion: one table for the configuration, OSC and the docs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rwkv_music.errors import ConfigError
from rwkv_music.music import HIGHEST_PITCH, LOWEST_PITCH
from rwkv_music.timebase import round_half_up

Value = int | float | str

KEYS = (
    *("none", "auto", "C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb"),
    *("G", "G#", "Ab", "A", "A#", "Bb", "B"),
)
SCALES = (
    *("major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "locrian"),
    *("harmonic_minor", "melodic_minor", "major_pentatonic", "minor_pentatonic"),
    *("blues", "whole_tone", "chromatic"),
)
_TYPES = {"int": "i", "float": "f", "str": "s"}
_TYPE_NAMES = {"i": "a whole number", "f": "a number"}
_LARGEST_SEED = 2**31 - 1  # an OSC int32
_BEYOND_ALL = 2**63


class ParameterError(ConfigError):
    """A value that a parameter cannot have; `code` is what `/rwkv/error` says: 400, 404 or 422."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a parameter may be. `type` is OSC's: i, f or s; `choices` are those of an s.

    For an s, `minimum` and `maximum` are empty strings.
    """

    name: str
    type: str
    default: Value
    minimum: Value
    maximum: Value
    choices: tuple[str, ...]
    help: str

    def check(self, value: object) -> Value:
        """The value as the parameter's own type. Raises ParameterError.

        An int serves for a float and a float for an int, rounded. Floats keep the seven digits
        that OSC's 32 bits carry, so that a 0.95 that came over the wire is 0.95 again.
        """
        if self.type == "s":
            return self._check_choice(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(400, self._complaint(value))
        if not abs(value) < _BEYOND_ALL:  # nor is a NaN
            raise ParameterError(422, self._complaint(value))
        number = round_half_up(value) if self.type == "i" else float(f"{value:.7g}")
        if not float(self.minimum) <= number <= float(self.maximum):
            raise ParameterError(422, self._complaint(value))
        return number

    def _check_choice(self, value: object) -> str:
        if not isinstance(value, str):
            raise ParameterError(400, self._complaint(value))
        if value not in self.choices:
            raise ParameterError(422, self._complaint(value))
        return value

    @property
    def expected(self) -> str:
        """The allowed values in words."""
        if self.type == "s":
            return "one of " + ", ".join(self.choices)
        low, high = self.minimum, self.maximum
        if self.type == "f":
            low, high = f"{low:g}", f"{high:g}"
        return f"{_TYPE_NAMES[self.type]} from {low} to {high}"

    def _complaint(self, value: object) -> str:
        return f"{self.name}: expected {self.expected}, got {value!r}"


def _number(default: float, minimum: float, maximum: float, help: str) -> Any:
    return field(default=default, metadata={"range": (minimum, maximum), "help": help})


def _choice(choices: tuple[str, ...], help: str, default: str | None = None) -> Any:
    """A field of one of `choices`, the first by default."""
    return field(default=default or choices[0], metadata={"choices": choices, "help": help})


@dataclass(frozen=True, slots=True)
class Generation:
    """How completions are made and played: every parameter, with its value."""

    bars: int = _number(4, 1, 64, "Length of a completion in bars.")
    takes: int = _number(1, 1, 8, "How many completions are made at once; the first one plays.")
    temperature: float = _number(1.0, 0, 2, "Boldness; 0 takes the likeliest note every time.")
    top_p: float = _number(
        0.98, 0.05, 1, "Draw from the likeliest that make up this share; loudness is not cut."
    )
    top_k: int = _number(0, 0, 512, "Draw from this many of the likeliest; 0 is off.")
    min_p: float = _number(0.0, 0, 1, "Leave out what is less likely than this share of the best.")
    repetition_penalty: float = _number(1.0, 1, 2, "Above 1, what was just played is less likely.")
    seed: int = _number(-1, -1, _LARGEST_SEED, "The same seed plays the same; -1 is new each time.")
    key: str = _choice(
        KEYS,
        "Tonic to keep to; none leaves it free. auto: that of the last 16 bars and, in the first"
        " four, of the loaded memory, if that was once heard; free while fewer than three"
        " different notes were.",
    )
    scale: str = _choice(SCALES, "Scale on the tonic of `key`.")
    pitch_low: int = _number(LOWEST_PITCH, LOWEST_PITCH, HIGHEST_PITCH, "Lowest note played.")
    pitch_high: int = _number(HIGHEST_PITCH, LOWEST_PITCH, HIGHEST_PITCH, "Highest note played.")
    density: float = _number(1.0, 0, 4, "Fewer or more notes; 1 is as the model likes.")
    polyphony: int = _number(0, 0, 32, "Most notes that sound at once; 0 is free.")
    velocity_scale: float = _number(1.0, 0, 2, "Factor on the loudness of the notes played.")
    quantize: str = _choice(("bar", "beat", "now"), "Where a completion may start.")
    grid: str = _choice(
        ("full", "sixteenths", "triplets"), "Positions to which the player's onsets are rounded."
    )
    horizon_beats: float = _number(1.0, 0.25, 8, "How far ahead of the playhead notes are made.")
    let_ring: int = _number(0, 0, 1, "1: the last notes ring over the end of a completion.")
    overlap: str = _choice(
        ("merge", "ignore", "interrupt"),
        "What the player's notes do to a completion that plays: sound along, count for nothing, or"
        " end it; what waits behind it then begins at the next launch point.",
    )
    thru: int = _number(0, 0, 1, "1: what is played in is sent out as well.")
    channel_in: int = _number(0, 0, 16, "MIDI channel that is heard; 0 is all.")
    channel_out: int = _number(1, 1, 16, "MIDI channel of the completions.")
    nudge_ms: float = _number(0.0, -500, 500, "Shift of the output; negative is earlier.")
    late_tolerance_ms: float = _number(20.0, 0, 200, "Notes that are later than this are dropped.")
    metronome: int = _number(0, 0, 1, "1: a click on every beat.")
    metronome_channel: int = _number(10, 1, 16, "MIDI channel of the click.")
    count_in: int = _number(0, 0, 4, "Bars of clicks before the internal clock begins at beat 0.")

    def __post_init__(self) -> None:
        """Raises ParameterError for a value that its parameter cannot have."""
        for name, parameter in PARAMETERS.items():
            object.__setattr__(self, name, parameter.check(getattr(self, name)))

    def with_value(self, name: str, value: object) -> Generation:
        """A copy with one parameter changed. Raises ParameterError."""
        find_parameter(name)
        return replace(self, **{name: value})  # type: ignore[arg-type]  # checked on the way in

    def value(self, name: str) -> Value:
        """The value of the parameter called `name`. Raises ParameterError."""
        find_parameter(name)
        value: Value = getattr(self, name)
        return value


def _table() -> dict[str, Parameter]:
    table = {}
    for entry in fields(Generation):
        low, high = entry.metadata.get("range", ("", ""))
        kind = _TYPES[str(entry.type)]
        default: Any = entry.default
        if kind == "f":
            low, high = float(low), float(high)
        table[entry.name] = Parameter(
            name=entry.name,
            type=kind,
            default=default,
            minimum=low,
            maximum=high,
            choices=entry.metadata.get("choices", ()),
            help=entry.metadata["help"],
        )
    return table


PARAMETERS: Mapping[str, Parameter] = _table()

# What a request is: a change of these is for the next one. All others act on what plays.
OF_THE_REQUEST = ("bars", "takes", "seed", "quantize")
# What the model's process makes notes by: `rwkv_music.sampling.Sampling`, and let_ring.
MADE_BY = (
    *("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "key", "scale"),
    *("pitch_low", "pitch_high", "density", "polyphony", "velocity_scale", "let_ring"),
)


def find_parameter(name: str) -> Parameter:
    """The parameter of that name. Raises ParameterError, with the nearest name."""
    if name in PARAMETERS:
        return PARAMETERS[name]
    near = difflib.get_close_matches(name, PARAMETERS, n=1)
    hint = f"did you mean {near[0]}?" if near else "`/rwkv/params` names them all"
    raise ParameterError(404, f"{name}: no such parameter; {hint}")
