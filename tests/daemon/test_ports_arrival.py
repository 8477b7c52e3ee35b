"""Arrival times from delta times, though the port is only polled now and then."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.ports.arrival import ArrivalTimes

MS = 1_000_000


def polled(arrivals: list[int], interval_ns: int, drift: float = 0.0, start_ns: int = 0):
    """(true arrival, told arrival) of messages whose driver's clock runs `drift` fast, polled at
    that interval from `start_ns` on."""
    times, pairs = ArrivalTimes(), []
    driver, waiting = None, list(arrivals)
    drained_ns = now_ns = start_ns
    while waiting:
        now_ns += interval_ns
        while waiting and waiting[0] <= now_ns:
            true = waiting.pop(0)
            ticks = true * (1 + drift)
            delta_s = 0.0 if driver is None else (ticks - driver) / 1e9
            driver = ticks
            pairs.append((true, times.arrival_ns(delta_s, drained_ns, now_ns)))
        drained_ns = now_ns
    return pairs


def test_polling_every_2_ms_does_not_show() -> None:
    draw = random.Random(7)
    arrivals = [10**12]
    for _ in range(2000):
        arrivals.append(arrivals[-1] + draw.randrange(MS // 2, 40 * MS))
    pairs = polled(arrivals, 2 * MS, start_ns=10**12 - 5 * MS)
    off = [told - true for true, told in pairs]
    assert max(off[100:]) - min(off[100:]) < MS // 4
    assert max(map(abs, off[100:])) < MS // 4


def test_clocks_that_drift_apart_stay_together() -> None:
    draw = random.Random(3)
    for drift in (50e-6, -50e-6):
        arrivals = [10**12]
        for _ in range(20_000):
            arrivals.append(arrivals[-1] + draw.randrange(10 * MS, 30 * MS))
        pairs = polled(arrivals, 2 * MS, drift, 10**12)
        off = [told - true for true, told in pairs[500:]]
        assert max(map(abs, off)) < MS // 2


def test_a_suspend_in_either_clock_is_over_with_the_next_message() -> None:
    times = ArrivalTimes()
    now = 10**12
    for k in range(50):
        times.arrival_ns(0.01 if k else 0.0, now - 2 * MS, now)
        now += 10 * MS
    # An hour in the driver's clock that ours did not see, then one that only ours saw.
    told = times.arrival_ns(3600.0, now - 2 * MS, now)
    assert now - 2 * MS <= told <= now
    now += 3600 * 10**9
    told = times.arrival_ns(0.01, now - 2 * MS, now)
    assert now - 2 * MS <= told <= now


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 10**10), st.integers(0, 10**7)), min_size=1)
)
def test_whatever_comes_is_between_two_polls_and_in_order(steps) -> None:
    times, drained_ns, last = ArrivalTimes(), 0, 0
    for delta_s, pause_ns, poll_ns in steps:
        drained_ns += pause_ns
        polled_ns = drained_ns + poll_ns
        told = times.arrival_ns(delta_s, drained_ns, polled_ns)
        assert drained_ns - 1 <= told <= polled_ns + 1
        assert told >= last
        last, drained_ns = told, polled_ns
