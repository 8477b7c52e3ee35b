from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from music_strategies import meters

from rwkv_music.bar_lines import MOST_BARS, Signature, bar_lines, meter_of
from rwkv_music.errors import MidiFileError
from rwkv_music.music import METERS, STEPS_PER_BEAT, Meter

TPQ = 480


def meters_of(
    signatures: list[tuple[int, int, int]], last_beat: float, tpq: int = TPQ
) -> list[str]:
    lines = bar_lines([Signature(*s) for s in signatures], tpq, round(last_beat * tpq))
    return [str(line.meter) for line in lines]


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ((2, 2), "4/4"),
        ((3, 2), "6/4"),
        ((1, 1), "4/4"),
        ((6, 16), "3/8"),
        ((12, 16), "6/8"),
        ((4, 8), "2/4"),
        ((8, 8), "4/4"),
        ((10, 8), "5/4"),
        ((4, 16), "1/4"),
    ],
)
def test_a_meter_without_token_is_heard_as_one_of_the_same_length(
    written: tuple[int, int], heard: str
) -> None:
    assert str(meter_of(*written)) == heard


@pytest.mark.parametrize("odd", [(1, 8), (15, 16), (7, 4), (9, 4), (3, 1), (11, 16), (17, 32)])
def test_some_have_none(odd: tuple[int, int]) -> None:
    assert meter_of(*odd) is None


@given(meters)
def test_a_meter_with_a_token_is_itself(meter: Meter) -> None:
    assert meter_of(meter.numerator, meter.denominator) == meter


def test_without_a_signature_it_is_common_time() -> None:
    assert meters_of([], 8) == ["4/4"] * 3
    assert meters_of([(8 * TPQ, 3, 4)], 11) == ["4/4", "4/4", "3/4", "3/4"]
    assert bar_lines([], TPQ, -1) == []


def test_a_bar_that_a_signature_cuts_short_has_the_meter_of_its_length() -> None:
    assert meters_of([(0, 4, 4), (TPQ, 4, 4)], 4) == ["1/4", "4/4"]
    assert meters_of([(0, 6, 8), (3 * TPQ // 2, 6, 8)], 3) == ["3/8", "6/8"]
    assert meters_of([(0, 4, 4), (7 * TPQ, 3, 4)], 7) == ["4/4", "3/4", "3/4"]
    assert meters_of([(0, 4, 4), (TPQ // 4, 4, 4)], 4) == ["None", "4/4"]


@pytest.mark.parametrize("off_ticks", [-19, -1, 0, 1, 19])
def test_a_signature_a_little_off_the_line_cuts_nothing(off_ticks: int) -> None:
    assert meters_of([(0, 4, 4), (8 * TPQ + off_ticks, 3, 4)], 8.5) == ["4/4", "4/4", "3/4"]


def test_of_several_signatures_on_a_tick_the_last_holds() -> None:
    assert meters_of([(0, 4, 4), (0, 3, 4)], 1) == ["3/4"]


@given(
    st.integers(1, 32767),
    st.lists(st.tuples(st.sampled_from(METERS), st.integers(1, 4)), min_size=1, max_size=5),
)
def test_lines_are_the_sums_of_their_bars_at_any_resolution(
    tpq: int, parts: list[tuple[Meter, int]]
) -> None:
    """Signatures on bar lines, in a resolution that can say them."""
    tpq *= 2  # quavers fall on ticks
    signatures, expected, tick = [], [], 0
    for meter, count in parts:
        signatures.append(Signature(tick, meter.numerator, meter.denominator))
        expected += [meter] * count
        tick += count * meter.steps * tpq // STEPS_PER_BEAT
    last_step_tick = tick - -(-tpq // STEPS_PER_BEAT)
    lines = bar_lines(signatures, tpq, last_step_tick)
    assert [line.meter for line in lines] == expected
    assert lines[-1].end_unit == tick * STEPS_PER_BEAT
    for line in lines:
        assert line.meter is not None
        assert line.end_unit - line.unit == line.meter.steps * tpq


@given(
    st.integers(1, 2000),
    st.lists(
        st.builds(
            Signature, st.integers(0, 20000), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 64])
        ),
        max_size=8,
    ),
    st.integers(0, 30000),
)
def test_any_signatures_make_bars_without_gaps_to_the_last_onset(
    tpq: int, signatures: list[Signature], last: int
) -> None:
    try:
        lines = bar_lines(signatures, tpq, last)
    except MidiFileError:
        assert last / tpq > MOST_BARS / 64
        return
    unit = last * STEPS_PER_BEAT
    gap = (len(signatures) + 1) * tpq / 2  # where a few signatures stand closer than a step
    assert lines[0].unit <= gap
    assert 2 * (lines[-1].end_unit - unit) > tpq
    for line, following in pairwise(lines):
        assert line.unit <= line.end_unit
        assert abs(following.unit - line.end_unit) <= gap


@pytest.mark.parametrize("signature", [(0, 0, 4), (0, 4, 0), (-5, 4, 4)])
def test_a_signature_that_is_none_is_refused(signature: tuple[int, int, int]) -> None:
    with pytest.raises(MidiFileError, match="time signature"):
        bar_lines([Signature(*signature)], TPQ, 0)


def test_a_note_at_the_end_of_days_does_not_make_a_bar_each_beat_until_then() -> None:
    with pytest.raises(MidiFileError, match=f"beyond bar {MOST_BARS}"):
        bar_lines([], 1, 2**31 - 1)
    with pytest.raises(MidiFileError, match="beyond bar"):
        bar_lines([Signature(0, 1, 2**30)], 1, 100)
