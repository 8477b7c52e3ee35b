"""Typed OSC arguments: what an address takes, and the check of what came."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rwkv_music.errors import RwkvMusicError
from rwkv_music.timebase import round_half_up

from ..parameters import Parameter

LARGEST_INT = 2**31 - 1
_BEYOND_ALL = 2**63
_TYPE_NAMES = {"i": "a whole number", "f": "a number", "s": "text"}


class OscError(RwkvMusicError):
    """A request that is not carried out; `code` and the message go out as `/rwkv/error`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownError(OscError):
    """404 for a name; the nearest known one is looked for only when the message is read, because
    that takes long enough to matter in a flood."""

    def __init__(self, what: str, name: str, known: Collection[str], elsewhere: str) -> None:
        super().__init__(404, what)
        self._name, self._known, self._elsewhere = name[:80], known, elsewhere

    def __str__(self) -> str:
        near = difflib.get_close_matches(self._name, self._known, n=1, cutoff=0.8)
        return f"{self.args[0]}; " + (f"did you mean {near[0]}?" if near else self._elsewhere)


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument. `type` is i, f or s."""

    name: str
    type: str
    optional: bool = False
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()

    def check(self, value: object) -> int | float | str:
        """The value as the argument's own type. Raises OscError 400 for a wrong type, 422 for a
        value out of range."""
        if self.type == "s":
            if not isinstance(value, str):
                raise OscError(400, self._complaint(value))
            if self.choices and value not in self.choices:
                raise OscError(422, self._complaint(value))
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise OscError(400, self._complaint(value))
        if not abs(value) < _BEYOND_ALL:  # nor is a NaN
            raise OscError(422, self._complaint(value))
        number = round_half_up(value) if self.type == "i" else float(value)
        if not self.minimum <= number <= self.maximum:
            raise OscError(422, self._complaint(value))
        return number

    @property
    def expected(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = _TYPE_NAMES[self.type]
        if math.isfinite(self.minimum):
            words += f" from {self.minimum:.10g}"
        if math.isfinite(self.maximum):
            words += f" to {self.maximum:.10g}"
        return words

    def _complaint(self, value: object) -> str:
        got = repr(value)
        return (
            f"{self.name}: expected {self.expected}, got {got if len(got) < 60 else got[:60] + '…'}"
        )

    def __str__(self) -> str:
        return f"[{self.type} {self.name}]" if self.optional else f"{self.type} {self.name}"


def parameter_argument(parameter: Parameter, *, optional: bool = False) -> Arg:
    """The argument that is a value of this parameter."""
    limits = (parameter.minimum, parameter.maximum)
    low, high = (-math.inf, math.inf) if parameter.type == "s" else map(float, limits)
    return Arg(parameter.name, parameter.type, optional, low, high, parameter.choices)


def check_arguments(
    values: Sequence[object], args: Sequence[Arg], repeated: Sequence[Arg], most_repeats: int
) -> tuple[Any, ...]:
    """The values in the types of `args`, None for each optional one that is missing, then those
    of `repeated`, which come in whole groups. Raises OscError."""
    needed = sum(not arg.optional for arg in args)
    extra = len(values) - len(args)
    if len(values) < needed or (extra > 0 and not repeated):
        raise OscError(400, f"expected {signature(args, repeated)}, got {_count(len(values))}")
    checked: list[Any] = [arg.check(value) for arg, value in zip(args, values, strict=False)]
    checked += [None] * (len(args) - len(checked))
    if extra > 0:
        if extra % len(repeated) or extra // len(repeated) > most_repeats:
            raise OscError(
                400,
                f"expected up to {most_repeats} times {signature(repeated)},"
                f" got {_count(extra)} after the first {len(args)}",
            )
        cycle = list(repeated) * (extra // len(repeated))
        checked += [arg.check(value) for arg, value in zip(cycle, values[len(args) :], strict=True)]
    return tuple(checked)


def signature(args: Sequence[Arg], repeated: Sequence[Arg] = ()) -> str:
    """The arguments as the docs write them."""
    words = ", ".join(str(arg) for arg in args) or "no arguments"
    return f"{words}, then {signature(repeated)} …" if repeated else words


def _count(number: int) -> str:
    return f"{number} argument" + ("" if number == 1 else "s")
