"""The one table of parameters: values, limits, messages."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.parameters import PARAMETERS, Generation, ParameterError

# The contract, written down a second time on purpose.
CONTRACT = {
    "bars": ("i", 4, 1, 64),
    "takes": ("i", 1, 1, 8),
    "temperature": ("f", 1.0, 0, 2),
    "top_p": ("f", 0.98, 0.05, 1),
    "top_k": ("i", 0, 0, 512),
    "min_p": ("f", 0, 0, 1),
    "repetition_penalty": ("f", 1, 1, 2),
    "seed": ("i", -1, -1, 2**31 - 1),
    "key": ("s", "none", "", ""),
    "scale": ("s", "major", "", ""),
    "pitch_low": ("i", 21, 21, 108),
    "pitch_high": ("i", 108, 21, 108),
    "density": ("f", 1, 0, 4),
    "polyphony": ("i", 0, 0, 32),
    "velocity_scale": ("f", 1, 0, 2),
    "quantize": ("s", "bar", "", ""),
    "grid": ("s", "full", "", ""),
    "horizon_beats": ("f", 1, 0.25, 8),
    "let_ring": ("i", 0, 0, 1),
    "overlap": ("s", "merge", "", ""),
    "thru": ("i", 0, 0, 1),
    "channel_in": ("i", 0, 0, 16),
    "channel_out": ("i", 1, 1, 16),
    "nudge_ms": ("f", 0, -500, 500),
    "late_tolerance_ms": ("f", 20, 0, 200),
    "metronome": ("i", 0, 0, 1),
    "metronome_channel": ("i", 10, 1, 16),
    "count_in": ("i", 0, 0, 4),
}
NUMBERS = [name for name, row in CONTRACT.items() if row[0] != "s"]


def test_the_table_is_the_contracts() -> None:
    table = {p.name: (p.type, p.default, p.minimum, p.maximum) for p in PARAMETERS.values()}
    assert table == CONTRACT
    assert PARAMETERS["quantize"].choices == ("bar", "beat", "now")
    assert PARAMETERS["grid"].choices == ("full", "sixteenths", "triplets")
    assert PARAMETERS["overlap"].choices == ("merge", "ignore", "interrupt")
    assert {"none", "auto", "C", "B"} <= set(PARAMETERS["key"].choices)
    assert {"major", "minor", "dorian", "chromatic"} <= set(PARAMETERS["scale"].choices)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_default_is_a_value_of_its_type_and_has_help(name: str) -> None:
    parameter = PARAMETERS[name]
    value = parameter.check(parameter.default)
    assert value == Generation().value(name) == parameter.default
    assert type(value) is {"i": int, "f": float, "s": str}[parameter.type]
    assert parameter.help.endswith(".")


def test_an_int_serves_for_a_float_and_a_float_for_an_int_rounded() -> None:
    assert type(PARAMETERS["temperature"].check(1)) is float
    assert PARAMETERS["bars"].check(2.5) == 3
    assert PARAMETERS["bars"].check(64.4) == 64
    assert type(PARAMETERS["bars"].check(8.0)) is int


@given(st.floats(0.05, 1.0))
def test_a_float_survives_the_wire(value: float) -> None:
    parameter = PARAMETERS["top_p"]
    kept = parameter.check(value)
    (wired,) = struct.unpack(">f", struct.pack(">f", kept))
    assert parameter.check(wired) == pytest.approx(kept, rel=2e-7)
    assert parameter.check(struct.unpack(">f", struct.pack(">f", 0.95))[0]) == 0.95


@pytest.mark.parametrize("name", NUMBERS)
def test_beyond_the_range_is_422_and_text_is_400(name: str) -> None:
    parameter = PARAMETERS[name]
    for value in (
        float(parameter.minimum) - 1,
        float(parameter.maximum) + 1,
        math.inf,
        math.nan,
        10**400,
    ):
        with pytest.raises(ParameterError, match=name) as error:
            parameter.check(value)
        assert error.value.code == 422
    for value in ("1", None, b"1", True):
        with pytest.raises(ParameterError, match=name) as error:
            parameter.check(value)
        assert error.value.code == 400


def test_a_word_that_is_no_choice_is_422_and_a_number_400() -> None:
    with pytest.raises(ParameterError, match="expected one of bar, beat, now, got 'half'") as error:
        PARAMETERS["quantize"].check("half")
    assert error.value.code == 422
    with pytest.raises(ParameterError) as error:
        PARAMETERS["quantize"].check(1)
    assert error.value.code == 400


def test_the_message_says_what_got_expected() -> None:
    with pytest.raises(ParameterError, match=r"bars: expected a whole number from 1 to 64, got 65"):
        PARAMETERS["bars"].check(65)


def test_with_value_changes_one_and_checks() -> None:
    start = Generation()
    changed = start.with_value("temperature", 0.5)
    assert changed.temperature == 0.5
    assert start.temperature == 1.0
    with pytest.raises(ParameterError) as error:
        start.with_value("temperature", 5)
    assert error.value.code == 422


def test_an_unknown_name_is_404_with_the_nearest() -> None:
    with pytest.raises(ParameterError, match="did you mean temperature") as error:
        Generation().with_value("temprature", 1.0)
    assert error.value.code == 404


def test_a_generation_cannot_be_made_wrong() -> None:
    with pytest.raises(ParameterError, match="channel_out"):
        Generation(channel_out=17)
    assert type(Generation(temperature=1).temperature) is float
