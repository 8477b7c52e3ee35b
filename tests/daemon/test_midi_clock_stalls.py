"""A MIDI clock on a machine that stands still again and again: the ticks of a stall come at once
when it ends, and the position must neither run off with them nor be lost."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from clock_ticks import START_NS, TICKS_PER_BEAT
from rwkv_music_daemon.transport import Transport

BEATS = 40
SEEDS = range(4)


def stalled_arrivals(
    tempo_bpm: float, longest_ms: float, share: float, apart_ms: float, seed: int
) -> list[int]:
    """When the ticks of an even clock come. This `share` of the time is stalls of 5 ms and more,
    the first of them after 3 s; the ticks of one come at its end, so far apart."""
    draw = random.Random(seed)
    tick_ns = 60e9 / TICKS_PER_BEAT / tempo_bpm
    stall_begins, stall_ends = 3e9, 3e9 + draw.uniform(5, longest_ms) * 1e6
    arrivals: list[int] = []
    earliest_ns = 0.0
    for tick in range(BEATS * TICKS_PER_BEAT):
        t_ns = tick * tick_ns
        while stall_ends < t_ns:
            mean_gap_ns = (stall_ends - stall_begins) * (1 - share) / share
            stall_begins = stall_ends + draw.expovariate(1 / mean_gap_ns)
            stall_ends = stall_begins + draw.uniform(5, longest_ms) * 1e6
        if t_ns >= stall_begins:
            t_ns = stall_ends
        t_ns = max(t_ns + draw.uniform(0, 0.4e6), earliest_ns)
        earliest_ns = t_ns + apart_ms * 1e6
        arrivals.append(START_NS + round(t_ns))
    return arrivals


@pytest.mark.parametrize("apart_ms", [0.02, 1.4, 3.0])
@pytest.mark.parametrize("longest_ms", [80.0, 300.0])
@pytest.mark.parametrize("tempo_bpm", [60.0, 120.0, 200.0])
def test_the_position_stays_with_a_clock_that_stalls(
    tempo_bpm: float, longest_ms: float, apart_ms: float
) -> None:
    for seed in SEEDS:
        arrivals = stalled_arrivals(tempo_bpm, longest_ms, 0.2, apart_ms, seed)
        transport = Transport(tempo_bpm)
        transport.midi_start(START_NS - 1_000_000)
        for tick_ns, next_ns in pairwise(arrivals):
            transport.midi_tick(tick_ns)
            # Just before the next tick is where a wrong tempo has led farthest.
            for t_ns in (tick_ns, next_ns - 1):
                true = (t_ns - START_NS) / 60e9 * tempo_bpm
                off = transport.beat_at(t_ns) - true
                # A pause of the clock itself looks like a stall until it is over.
                assert -longest_ms / 60e3 * tempo_bpm - 0.25 < off < 0.5, (seed, true)
        counted = transport.beat_at(arrivals[-1]) * TICKS_PER_BEAT
        assert counted == pytest.approx(len(arrivals) - 1, abs=longest_ms / 60e3 * tempo_bpm * 24)


@pytest.mark.parametrize("step", [4.0, 0.25])
def test_a_leap_of_the_tempo_is_no_stall(step: float) -> None:
    tempo_bpm, leap = 80.0, 12
    tick_ns = 60e9 / TICKS_PER_BEAT / tempo_bpm
    transport = Transport(tempo_bpm)
    transport.midi_start(START_NS - 1_000_000)
    t_ns = float(START_NS)
    for tick in range((leap + 8) * TICKS_PER_BEAT):
        transport.midi_tick(round(t_ns))
        t_ns += tick_ns if tick < leap * TICKS_PER_BEAT else tick_ns / step
        if tick >= (leap + 3) * TICKS_PER_BEAT:
            assert transport.tempo_bpm == pytest.approx(tempo_bpm * step, rel=0.002)
    # The way there is bent, not jumped.
    assert transport.beat_at(round(t_ns)) == pytest.approx(leap + 8, abs=0.02)
