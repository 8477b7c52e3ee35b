"""MIDI clocks as they are met: exact ones put through an audio driver's period, with accidents."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from rwkv_music_daemon.transport import Transport

TICKS_PER_BEAT = 24
START_NS = 10_000_000_000
CLEAN_MS, COARSE_MS = (
    64 / 48,
    256 / 48,
)  # JACK's periods; jack_midi_clock was measured on the latter


@dataclass
class Follower:
    """What a transport made of a clock."""

    transport: Transport
    true_ns: list[float]
    line_errors_ms: dict[int, float] = field(default_factory=dict)  # beat -> told 30 ms before it
    tempi: list[tuple[float, float]] = field(default_factory=list)  # (beat, told tempo)
    went_back: int = 0

    @property
    def ticks_counted(self) -> float:
        """Ticks since the start, by the position told at the last one."""
        return self.transport.beat_at(round(self.true_ns[-1])) * TICKS_PER_BEAT

    def worst_tempo(self, tempo_bpm: float, first: float, last: float) -> float:
        """The largest relative error of the tempo between two beats."""
        return max(abs(told / tempo_bpm - 1) for beat, told in self.tempi if first <= beat < last)


def follow(
    tempo_of: Callable[[float], float],
    beats: int,
    seed: int,
    period_ms: float = CLEAN_MS,
    dropped: Collection[int] = (),
    doubled: Mapping[int, float] | None = None,
    late: Mapping[int, float] | None = None,
    paused: Mapping[int, float] | None = None,
) -> Follower:
    """Let a transport follow a clock of that tempo (a function of the beat), whose ticks are late
    up to the driver's next period. `doubled` comes again, `late` comes, so many ms later; the clock
    itself is `paused` so many ms before a tick."""
    draw = random.Random(seed)
    period_ns = period_ms * 1e6
    phase_ns = draw.random() * period_ns
    true_ns, t_ns = [], float(START_NS)
    for tick in range(beats * TICKS_PER_BEAT):
        t_ns += (paused or {}).get(tick, 0) * 1e6
        true_ns.append(t_ns)
        t_ns += 60e9 / TICKS_PER_BEAT / tempo_of(tick / TICKS_PER_BEAT)
    arrivals = []
    for tick, true in enumerate(true_ns):
        arrival = math.ceil((true - phase_ns) / period_ns) * period_ns + phase_ns
        if tick not in dropped:
            arrivals.append((round(arrival + (late or {}).get(tick, 0) * 1e6), tick))
        if tick in (doubled or {}):
            arrivals.append((round(arrival + (doubled or {})[tick] * 1e6), tick))
    followed = Follower(Transport(100.0), true_ns)
    followed.transport.midi_start(START_NS - 1_000_000)
    beat, asked = 0.0, 1
    for arrival_ns, tick in sorted(arrivals):
        while asked < beats and true_ns[asked * TICKS_PER_BEAT] - 30e6 <= arrival_ns:
            # The mean lateness cannot be known, and is left out.
            true = true_ns[asked * TICKS_PER_BEAT] + period_ns / 2
            followed.line_errors_ms[asked] = (followed.transport.ns_at(asked) - true) / 1e6
            asked += 1
        followed.transport.midi_tick(arrival_ns)
        now = followed.transport.beat_at(arrival_ns)
        followed.went_back += now < beat
        beat = now
        followed.tempi.append((tick / TICKS_PER_BEAT, followed.transport.tempo_bpm))
    return followed


def percentile(values: Collection[float], share: float) -> float:
    """Of absolute values."""
    ordered = sorted(map(abs, values))
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
