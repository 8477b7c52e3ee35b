"""What could be known of a tempo two beats after a step, through the periods of a driver?

    python -m benchmarks.clock_limit [--seeds N] [--json FILE]

The clock is the synthetic one of `benchmarks.clock`. Given to an ideal listener, as no filter has
it: the exact line before the step, that the step is on a tick, the driver's period, and how late
ticks come beyond it. Its guess is the mean of all tempi, each as likely as the 49 ticks from the
step on, and those shortly before it, make it. What it misses nobody can be sure to find.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .clock import RATE, STEP, STEPS, TARGET_TEMPO, TICKS_PER_BEAT, tempi
from .figures import machine, percentile, table, write

JITTER_MS = 0.05
_BEFORE, _AFTER = 24, 2 * TICKS_PER_BEAT
_PLACES = range(-8, 9)  # ticks from the true one at which the step may seem to be
_SLOPES = 4_001
_LEAST = 1e-12  # of a density, so that its logarithm stays finite


def log_density(late_ms: np.ndarray, period_ms: float) -> np.ndarray:
    """Of lateness that is even over a period, and then exponential."""

    def passed(ms: np.ndarray) -> np.ndarray:
        return np.where(ms > 0, 1 - np.exp(-np.maximum(ms, 0) / JITTER_MS), 0.0)

    even = (passed(late_ms) - passed(late_ms - period_ms)) / period_ms
    return np.log(np.maximum(even, _LEAST))


def ideal_error(old_bpm: float, new_bpm: float, period_ms: float, seed: int) -> float:
    """How far off the ideal listener's tempo is, as a share."""
    random = np.random.default_rng(seed)
    old_ms, new_ms = (60e3 / TICKS_PER_BEAT / bpm for bpm in (old_bpm, new_bpm))
    numbers = np.arange(-_BEFORE, _AFTER + 1)
    true_ms = np.where(numbers < 0, numbers * old_ms, numbers * new_ms)
    phase_ms = random.random() * period_ms
    told_ms = np.ceil((true_ms - phase_ms) / period_ms) * period_ms + phase_ms
    told_ms += random.exponential(JITTER_MS, len(numbers))
    slopes_ms = np.linspace(old_ms * (1 - 2 * STEP), old_ms * (1 + 2 * STEP), _SLOPES)
    logs = []
    for place in _PLACES:
        before = numbers <= place
        log = log_density(told_ms[before] - numbers[before] * old_ms, period_ms).sum()
        after = ~before
        line_ms = place * old_ms + (numbers[after, None] - place) * slopes_ms
        logs.append(log + log_density(told_ms[after, None] - line_ms, period_ms).sum(axis=0))
    likely = np.exp(np.array(logs) - np.max(logs)).sum(axis=0)
    return abs(float(likely @ slopes_ms / likely.sum()) / new_ms - 1)


def rows(seeds: int) -> Iterator[dict[str, Any]]:
    for frames in (64, 256):
        for first_bpm in (90.0, 120.0, 173.0):
            bpms = [bpm for _, bpm in tempi(first_bpm, 0, STEPS)]
            for side, begin in (("up", 0), ("down", 1)):
                steps = list(zip(bpms[begin:-1:2], bpms[begin + 1 :: 2], strict=True))
                off = [
                    ideal_error(old, new, frames * 1000 / RATE, seed)
                    for old, new in steps
                    for seed in range(seeds)
                ]
                yield {
                    "frames": frames,
                    "tempo_bpm": first_bpm,
                    "step": side,
                    "steps": len(off),
                    "p50_%": 100 * percentile(off, 50),
                    "max_%": 100 * max(off),
                    "missed_%": 100 * sum(error > TARGET_TEMPO for error in off) / len(off),
                }


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--seeds", type=int, default=20)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args(arguments)
    found = list(rows(options.seeds))
    print(table(found))
    write({"benchmark": "clock_limit", "machine": machine(), "rows": found}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
