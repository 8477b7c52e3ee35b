"""How near to the truth is the transport that follows a MIDI clock?

    python -m benchmarks.clock [--quick] [--clocks synthetic,jack,ardour] [--realtime] [--json FILE]

What arrives is recorded as the service would see it, and played to a transport afterwards. Phase:
where the transport, 30 ms before each beat, says that it will be, against the beat itself; the
median of each steady part, which is the way through the driver and cannot be known, is told apart.
Tempo: its error from two beats after a step of 5 % to three. The truth of a synthetic clock is what
it was made from; with `jack_midi_clock` it is the beats of JACK's transport, of which that clock
drops a tick where the tempo steps up; with Ardour it is the frame for which JACK says that a tick
was sent.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from rwkv_music_daemon.clock import SystemClock
from rwkv_music_daemon.ports.systems import open_system
from rwkv_music_daemon.transport import Transport, take_midi

from .figures import machine, percentile, table, write
from .rig import JackServer
from .rig.clock_tap import PORT, ClockTap, Step

TICKS_PER_BEAT = 24
TICK, START = 0xF8, 0xFA
RATE = 48_000
STEP = 0.05
STEADY_BEATS, STEP_BEATS, STEPS = 120, 16, 8
QUICK_BEATS, QUICK_STEPS, SEEDS, QUICK_SEEDS = 32, 2, 20, 3
TARGET_CLEAN_MS, TARGET_JITTER_MS, TARGET_TEMPO = 1.0, 2.0, 0.001
_ASKED_NS = 30e6  # before a beat
_SETTLED_BEATS = 4
_STALLED_NS = 1.5e9  # the transport needs so long to get over a pause
_POLL_S = 0.002
_ARDOUR = Path(__file__).parent / "rig" / "ardour_clock.lua"
_MOST_STARTS = 5  # Ardour does not always come up

Arrival = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Recording:
    """What arrived, when each beat since the start was, which tempi were told when, and when the
    MIDI system stood still."""

    arrivals: list[Arrival]
    beats_ns: list[float]
    steps: list[Step]
    stalls_ns: list[int] = field(default_factory=list)

    def is_calm(self, beat_ns: float) -> bool:
        """Whether nothing stood still of late."""
        return not any(beat_ns - _STALLED_NS < t_ns < beat_ns for t_ns in self.stalls_ns)


@dataclass(frozen=True, slots=True)
class Errors:
    """Of phases in ms, the median of each steady part taken out, and these medians; of tempi after
    a step, as shares, up and down."""

    phases_ms: list[float]
    calm_ms: list[float]  # those of beats before which nothing stood still
    offsets_ms: list[float]
    up: list[float]
    down: list[float]


def measure(recording: Recording) -> Errors:
    """Play a recording to a transport."""
    beat_ns, steps = recording.beats_ns, recording.steps
    transport = Transport(steps[0][1])
    changed = [beat for (_, old), (beat, bpm) in pairwise(steps) if bpm != old]
    parts: list[dict[int, float]] = [{} for _ in range(len(changed) + 1)]
    worst = dict.fromkeys(changed, 0.0)
    asked, tick = _SETTLED_BEATS, -1
    for t_ns, message in recording.arrivals:
        while asked < len(beat_ns) and beat_ns[asked] - _ASKED_NS <= t_ns:
            if not any(beat <= asked < beat + 2 for beat in changed):
                part = parts[sum(beat <= asked for beat in changed)]
                part[asked] = (transport.ns_at(asked) - beat_ns[asked]) / 1e6
            asked += 1
        take_midi(transport, t_ns, message)
        tick = -1 if message[0] == START else tick + (message[0] == TICK)
        for beat, bpm in steps[1:]:
            if beat in worst and beat + 2 <= tick / TICKS_PER_BEAT < beat + 3:
                worst[beat] = max(worst[beat], abs(transport.tempo_bpm / bpm - 1))
    ups = {beat for (_, old), (beat, bpm) in pairwise(steps) if bpm > old}
    last = tick / TICKS_PER_BEAT
    done = {beat: error for beat, error in worst.items() if beat + 3 <= last}
    offsets = [median(part.values()) for part in parts if part]
    off = {beat: ms - median(part.values()) for part in parts for beat, ms in part.items()}
    return Errors(
        list(off.values()),
        [ms for beat, ms in off.items() if recording.is_calm(beat_ns[beat])],
        offsets,
        [error for beat, error in done.items() if beat in ups],
        [error for beat, error in done.items() if beat not in ups],
    )


def tempi(first_bpm: float, steady_beats: int, count: int) -> list[Step]:
    """Steps of 5 % up and down in turns, after so many beats without any."""
    steps = [(0.0, first_bpm)]
    for number in range(count):
        factor = 1 + STEP if number % 2 == 0 else 1 - STEP
        beat = steady_beats if number == 0 else steps[-1][0] + STEP_BEATS
        steps.append((float(beat), steps[-1][1] * factor))
    return steps


# --- a synthetic clock -------------------------------------------------------------------------


def synthetic(steps: list[Step], period_ms: float, jitter_ms: float, seed: int) -> Recording:
    """Ticks to the nanosecond, told at the next period of a driver, and later by a little: as
    `jitter_ms` says on the average, with a long tail."""
    random = Random(seed)
    period_ns = period_ms * 1e6
    phase_ns = random.random() * period_ns
    t_ns, ticks_ns = 1e10 + random.random() * 1e8, []
    ends = steps[-1][0] + STEP_BEATS
    for tick in range(int(ends * TICKS_PER_BEAT)):
        ticks_ns.append(t_ns)
        bpm = [bpm for beat, bpm in steps if beat <= tick / TICKS_PER_BEAT][-1]
        t_ns += 60e9 / TICKS_PER_BEAT / bpm
    told: list[float] = []
    for true_ns in ticks_ns:
        at_ns = true_ns
        if period_ns:
            at_ns = math.ceil((true_ns - phase_ns) / period_ns) * period_ns + phase_ns
        at_ns += random.expovariate(1 / jitter_ms) * 1e6 if jitter_ms else 0.0
        told.append(max(at_ns, told[-1] if told else 0.0))
    arrivals = [(round(t), bytes((TICK,))) for t in told]
    return Recording(
        [(arrivals[0][0] - 1_000_000, bytes((START,))), *arrivals],
        ticks_ns[::TICKS_PER_BEAT],
        steps,
    )


SYNTHETIC = {  # period and jitter in ms
    "exact": (0.0, 0.0),
    "to 0.1 ms": (0.0, 0.1),
    "64 frames": (64_000 / RATE, 0.05),
    "256 frames": (256_000 / RATE, 0.05),
}


def synthetic_rows(seeds: int, steps: list[Step]) -> Iterator[dict[str, Any]]:
    for name, (period_ms, jitter_ms) in SYNTHETIC.items():
        for bpm in (90.0, 120.0, 173.0):
            scaled = [(beat, bpm * told / steps[0][1]) for beat, told in steps]
            runs = [measure(synthetic(scaled, period_ms, jitter_ms, seed)) for seed in range(seeds)]
            yield row("synthetic", name, bpm, runs)


# --- real clocks -------------------------------------------------------------------------------


def record(
    seconds: float, server: JackServer, source: str, roll: Callable[[], None]
) -> list[Arrival]:
    """What the service's own input hears from a port, meanwhile `roll` has it go."""
    system = open_system("jack", SystemClock())
    port = system.open_input("Clock Bench")
    arrivals: list[Arrival] = []
    try:
        server.connect(source, server.wait_for_port("Clock Bench"))
        server.connect(source, PORT)
        roll()
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            arrivals += port.poll()
            time.sleep(_POLL_S)
    finally:
        port.close()
        system.close()
    return arrivals


def seconds_of(steps: list[Step]) -> float:
    """How long all of them last."""
    ends = [beat for beat, _ in steps[1:]] + [steps[-1][0] + STEP_BEATS]
    return sum((end - beat) * 60 / bpm for (beat, bpm), end in zip(steps, ends, strict=True))


def jack_midi_clock(period: int, realtime: bool, steps: list[Step]) -> Recording:
    """`jack_midi_clock` on JACK's transport, whose tempo we lead."""
    with JackServer(period=period, realtime=realtime) as server:
        tap = ClockTap(server.env, steps)
        clock = subprocess.Popen(["jack_midi_clock", "-P"], env=server.env)
        try:
            source = server.wait_for_port("jack_midi_clock:mclk_out")
            arrivals = record(seconds_of(steps) + 1, server, source, tap.roll)
            heard = tap.end()
            return Recording(arrivals, heard.beats_ns, steps, heard.stalls_ns)
        finally:
            clock.terminate()
            clock.wait()
            tap.close()


def ardour(period: int, realtime: bool, steps: list[Step]) -> Recording:
    """Ardour's `MIDI Clock out`, as its own tempo map leads it."""
    for attempt in range(_MOST_STARTS):
        with (
            JackServer(period=period, realtime=realtime) as server,
            tempfile.TemporaryDirectory() as folder,
        ):
            env = {
                **server.env,
                "XDG_CONFIG_HOME": f"{folder}/config",
                "SONG": f"{folder}/song",
                "TEMPI": " ".join(f"{beat}:{bpm}" for beat, bpm in steps),
                "SECONDS": str(seconds_of(steps) + 1),
            }
            tap = ClockTap(server.env)
            program = subprocess.Popen(
                ["ardour7-lua", str(_ARDOUR)],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            try:
                if not any(line == "ready\n" for line in program.stdout or ()):
                    print(f"Ardour: start {attempt + 1} failed", file=sys.stderr)
                    continue
                source = server.wait_for_port("MIDI Clock out")
                arrivals = record(seconds_of(steps) + 1, server, source, partial(go_on, program))
                heard = tap.end()
                return Recording(arrivals, heard.counted_ns, steps, heard.stalls_ns)
            finally:
                program.kill()
                program.wait()
                tap.close()
    raise RuntimeError(f"Ardour did not start in {_MOST_STARTS} attempts")


def go_on(program: subprocess.Popen[str]) -> None:
    if program.stdin is not None:
        program.stdin.write("roll\n")
        program.stdin.flush()


# --- what is told ------------------------------------------------------------------------------


def row(clock: str, jitter: str, bpm: float, runs: list[Errors], stalls: int = 0) -> dict[str, Any]:
    """The figures of some runs. moved: how far steps of the tempo have moved the beats for good."""
    off = [abs(ms) for run in runs for ms in run.phases_ms]
    calm = [abs(ms) for run in runs for ms in run.calm_ms]
    return {
        "clock": clock,
        "jitter": jitter,
        "tempo_bpm": bpm,
        "beats": len(off),
        "offset_ms": median(run.offsets_ms[0] for run in runs),
        "moved_ms": max(abs(ms - run.offsets_ms[0]) for run in runs for ms in run.offsets_ms),
        "p50_ms": percentile(off, 50),
        "p99_ms": percentile(off, 99),
        "max_ms": percentile(off, 100),
        "steps": sum(len(run.up) + len(run.down) for run in runs),
        "up_%": 100 * max((error for run in runs for error in run.up), default=math.nan),
        "down_%": 100 * max((error for run in runs for error in run.down), default=math.nan),
        "stalls": stalls,
        "calm_beats": len(calm),
        "calm_p99_ms": percentile(calm, 99),
    }


def is_reached(row: dict[str, Any]) -> bool:
    """Whether a clock is followed as it should be."""
    clean = row["jitter"] in ("exact", "to 0.1 ms")
    allowed_ms = TARGET_CLEAN_MS if clean else TARGET_JITTER_MS
    worst = max(
        (row[side] for side in ("up_%", "down_%") if not math.isnan(row[side])), default=0.0
    )
    return bool(row["p99_ms"] <= allowed_ms and worst <= 100 * TARGET_TEMPO)


def report(rows: list[dict[str, Any]]) -> str:
    missed = [f"{r['clock']} {r['jitter']} {r['tempo_bpm']:g}" for r in rows if not is_reached(r)]
    return (
        f"{table(rows)}\ntargets: beats off by at most {TARGET_CLEAN_MS:g} ms (p99) on a clean"
        f" clock, {TARGET_JITTER_MS:g} ms on one with a driver's periods; tempo within"
        f" {TARGET_TEMPO:.1%} two beats after a step of {STEP:.0%}; missed by:"
        f" {', '.join(missed) or 'none'}"
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="shorter, and fewer seeds")
    made.add_argument("--clocks", default="synthetic,jack", help="with commas; ardour is the third")
    made.add_argument("--realtime", action="store_true", help="jackd -R, as musicians run it")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    wanted = options.clocks.split(",")
    quick = options.quick
    steps = tempi(120.0, QUICK_BEATS if quick else STEADY_BEATS, QUICK_STEPS if quick else STEPS)
    rows: list[dict[str, Any]] = []
    if "synthetic" in wanted:
        rows += synthetic_rows(QUICK_SEEDS if quick else SEEDS, steps)
    for name, source, program in (
        ("jack", jack_midi_clock, "jack_midi_clock"),
        ("ardour", ardour, "ardour7-lua"),
    ):
        if name not in wanted:
            continue
        if shutil.which(program) is None:
            print(f"{program} is not installed: left out", file=sys.stderr)
            continue
        for period in (64, 256) if name == "jack" else (256,):
            # Ardour 7.3's clock ticks on at its first tempo, whatever its tempo map says.
            told = steps if name == "jack" else [steps[0], (steps[-1][0], steps[0][1])]
            recording = source(period, options.realtime, told)
            runs = [measure(recording)]
            rows.append(row(program, f"{period} frames", 120.0, runs, len(recording.stalls_ns)))
    print(report(rows))
    write({"benchmark": "clock", "machine": machine(), "rows": rows}, options.json)
    return 0 if all(map(is_reached, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
