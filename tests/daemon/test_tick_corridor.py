"""The lines that explain ticks which a driver has put off: the true one is never shut out."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from clock_ticks import COARSE_MS, follow, percentile
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.transport.corridor import Corridors
from rwkv_music_daemon.transport.tick_corridor import TickCorridor
from rwkv_music_daemon.transport.tick_noise import TickNoise
from rwkv_music_daemon.transport.timeline import Line

RANGE_NS, TICK_NS = 5e6, 20e6
AROUND = 60  # ticks through which a corridor begins
TRUE = Line(1_000_000_000, 0.0, TICK_NS)


def ticks_of(line: Line, numbers: range, seed: int) -> list[tuple[int, int]]:
    """Ticks anywhere in the range about a line."""
    draw = random.Random(seed)
    off = RANGE_NS / 2 - 2
    return [(k, round(line.ns_at(k) + draw.uniform(-off, off))) for k in numbers]


def begun(seed: int) -> TickCorridor:
    corridor = TickCorridor()
    corridor.begin(TRUE, ticks_of(TRUE, range(AROUND), seed), RANGE_NS)
    return corridor


@given(st.integers(0, 2**32), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_the_true_line_is_never_shut_out(seed: int, shift: float, tilt: float) -> None:
    near = Line(TRUE.t_ns + round(shift * RANGE_NS), 0.0, TICK_NS + tilt * RANGE_NS / AROUND)
    left = Corridors.around(near, ticks_of(TRUE, range(AROUND), seed), RANGE_NS)
    for number, t_ns in ticks_of(TRUE, range(AROUND, 200), seed + 1):
        left = left.after(number, t_ns)
    assert not left.doubt
    line = left.line(199)
    assert abs(line.ns_at(199) - TRUE.ns_at(199)) < RANGE_NS / 8
    assert line.ns_per_beat == pytest.approx(TICK_NS, rel=5e-4)


def test_ticks_on_a_slow_ramp_say_what_least_squares_cannot() -> None:
    # 2.9 periods in 400 ticks: they are told at even distances, but for two or three.
    period = 5_000_000
    corridor, line = TickCorridor(), Line(TRUE.t_ns, 0.0, TICK_NS - 2.9 * period / 400)
    told = [(k, round(-(-line.ns_at(k) // period) * period - period / 2)) for k in range(400)]
    corridor.begin(line, told[:AROUND], RANGE_NS + 1e4)
    for tick in told[AROUND:]:
        corridor.add(*tick)
    found = corridor.line(399)
    assert found is not None
    assert abs(found.ns_at(399) - line.ns_at(399)) < RANGE_NS / 4


@pytest.mark.parametrize("step", [1.05, 0.95, 1.01])
def test_another_tempo_is_found_from_where_it_began(step: float) -> None:
    for seed in range(10):
        corridor = begun(seed)
        new = Line(round(TRUE.ns_at(100)), 100.0, TICK_NS / step)
        for tick in ticks_of(TRUE, range(AROUND, 101), seed + 10):
            corridor.add(*tick)
        for tick in ticks_of(new, range(101, 149), seed + 20):
            corridor.add(*tick)
        found = corridor.line(148)
        assert found is not None
        assert found.ns_per_beat == pytest.approx(new.ns_per_beat, rel=3e-3)


def test_one_late_tick_moves_nothing_and_is_forgotten() -> None:
    corridor = begun(1)
    before = corridor.line(200)
    corridor.add(AROUND, round(TRUE.ns_at(AROUND) + 3 * RANGE_NS))
    assert corridor.line(200) == before


def test_a_pause_is_no_tempo() -> None:
    corridor = begun(1)
    later = Line(TRUE.t_ns + 30_000_000, 0.0, TICK_NS)
    for tick in ticks_of(later, range(AROUND, AROUND + 30), 5):
        corridor.add(*tick)
        found = corridor.line(tick[0])
        assert found is None or found.ns_per_beat == pytest.approx(TICK_NS, rel=0.002)


def test_ticks_that_told_their_time_wrong_are_taken_back() -> None:
    corridor = begun(1)
    before = corridor.line(200)
    for tick in ticks_of(Line(TRUE.t_ns + 4_000_000, 0.0, TICK_NS), range(AROUND, AROUND + 9), 5):
        corridor.add(*tick)
    assert corridor.line(200) != before
    corridor.drop_latest(9)
    assert corridor.line(200) == before


SLOW_RAMPS = [(93.7924, 89.1028, 64 / 48), (90.0, 94.5, COARSE_MS), (181.65, 172.5675, COARSE_MS)]


@pytest.mark.parametrize(("old_bpm", "new_bpm", "period_ms"), SLOW_RAMPS)
def test_a_step_is_known_two_beats_later_whatever_the_periods_hide(
    old_bpm: float, new_bpm: float, period_ms: float
) -> None:
    draw, phases = random.Random(1), []
    for seed in range(6):
        late = {tick: draw.expovariate(1 / 0.05) for tick in range(60 * 24)}
        followed = follow(
            lambda beat: old_bpm if beat < 40 else new_bpm, 60, seed, period_ms, late=late
        )
        assert followed.worst_tempo(new_bpm, 42, 43) < 0.001
        phases += [ms for beat, ms in followed.line_errors_ms.items() if beat >= 42]
        assert followed.went_back == 0
    assert percentile(phases, 0.99) < 2


def noise_of(gaps_ms: list[float]) -> TickNoise:
    noise, t_ns = TickNoise(), 0
    for gap_ms in gaps_ms:
        noise.add(t_ns)
        t_ns += round(gap_ms * 1e6)
    return noise


def test_periods_are_seen_whether_ticks_nearly_fit_in_them_or_not() -> None:
    for tick_periods in (3.02, 3.4, 3.5, 3.97):
        told = [math.ceil(k * tick_periods) * COARSE_MS for k in range(130)]
        lateness_ns = noise_of([after - before for before, after in pairwise(told)]).lateness_ns
        assert lateness_ns is not None
        assert lateness_ns >= COARSE_MS * 1e6


def test_accidents_are_no_periods() -> None:
    for seed in range(20):
        draw = random.Random(seed)
        late = [draw.uniform(0, 5) if draw.random() < 0.05 else 0.0 for _ in range(130)]
        gaps = [20 + after - before for before, after in pairwise(late)]
        assert noise_of(gaps).lateness_ns is None
        slips = [20 + (draw.uniform(0, 5) if draw.random() < 0.1 else 0.0) for _ in range(130)]
        assert noise_of(slips).lateness_ns is None
