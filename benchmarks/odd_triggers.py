"""Any tempo, five meters, a trigger at any moment, a player who does not wait: is every note there,
and on its place?

    python -m benchmarks.odd_triggers [--quick] [--triggers 500] [--minutes 8] [--realtime]
        [--engine scripted] [--model PATH] [--period 64] [--json FILE]

Like `benchmarks.handover`, but the tempo is another for every five triggers, between 50 and 220
BPM: the golden ratio's multiples, which lie evenly over that range (as many slow ones as fast ones,
by BPM) wherever the series is cut off, while the meters 4/4, 3/4, 6/8, 5/4 and 7/8 take turns. The
player's notes go on through every bar line, 2 to 50 hundredths of a beat apart. A completion has
one bar; the triggers come at random moments, four fifths of them while one plays.

The probe is a JACK client itself and reads places and arrivals in frames of the server's time, so
that nothing of the rig stands in the figures and no loopback has to be taken off (the probe's own
is 0 frames, by definition). What remains beside the service are the ways through its two ports:
a message that it sends is heard at the beginning of JACK's next period, so that even a perfect
service would have errors all over one period, which is 1.33 ms long at 64 frames. `stalls` counts
periods that began more than 3 ms after the one before: then the frames fall behind the clock by
which every program keeps time, and notes are off by as much until the tempo has been found again;
`calm` are the notes that had no stall in the two beats before them.

With --json, what the file has is continued with, so that the whole may be made in parts of
`--minutes`. The verdict is about all parts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from rwkv_music_daemon.osc.client import OscClient

from .events import Events
from .figures import histogram, machine, percentile, table, write
from .handover import lateness_ms, scripted_notes
from .performance import Meter, Performance, perform
from .rig import FrameProbe, JackServer, Service

METERS: tuple[Meter, ...] = ((4, 4), (3, 4), (6, 8), (5, 4), (7, 8))
SLOWEST_BPM, FASTEST_BPM = 50.0, 220.0
TRIGGERS, QUICK_TRIGGERS, TRIGGERS_A_RUN = 500, 10, 5
TARGET_P99_MS = 1.0
_GOLDEN = 0.6180339887498949
_EDGES_MS = [round(-1.5 + 0.1 * k, 1) for k in range(31)]
_SPEEDS_BPM = (50, 90, 140, 180, 220)


def tempo_bpm(run: int) -> float:
    """The tempo of the `run`th run, from 0."""
    return round(SLOWEST_BPM + (FASTEST_BPM - SLOWEST_BPM) * ((run + 0.5) * _GOLDEN % 1.0), 3)


def judge(performance: Performance, stalls: list[int], scripted: bool) -> dict[str, Any]:
    """The figures of a run. Of two triggers for one line the second has replaced the first."""
    performance.start_bars = sorted(set(performance.start_bars))
    played = sorted(note for _, note in performance.played)
    notes = scripted_notes(performance) if scripted else played
    problem = ""
    errors: list[float] = []
    try:
        errors = lateness_ms(performance, notes)
    except ValueError as error:
        problem = str(error)
    if played != sorted(notes):
        problem = problem or f"/rwkv/note/played told {len(played)} notes, not the same"
    if len(performance.done) != len(performance.start_bars):
        problem = problem or f"{len(performance.done)} completions were done"
    return {
        "tempo_bpm": performance.tempo_bpm,
        "meter": "{}/{}".format(*performance.meter),
        "triggers": len(performance.start_bars),
        "notes": len(performance.struck()),
        "late": sum(done[3] for done in performance.done),
        "dropped": sum(done[4] for done in performance.done),
        "worst_ms": max((done[5] for done in performance.done), default=float("nan")),
        "stalls": len(stalls),
        "problem": problem,
        "errors_ms": [round(error, 4) for error in errors],
        "calm_ms": [round(error, 4) for error in _calm(performance, errors, stalls)],
    }


def _calm(performance: Performance, errors: list[float], stalls: list[int]) -> list[float]:
    """The errors of notes before which, for two beats, every period of JACK's was on time."""
    window_ns = 2 * performance.beat_ns
    arrivals = [t for t, _, _ in performance.struck()]
    return [
        error
        for t, error in zip(arrivals, errors, strict=False)
        if not any(0 <= t - stall < window_ns for stall in stalls)
    ]


def measure(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Go on with the runs there are, until there are enough triggers or the time is up."""
    ends_s = time.monotonic() + 60 * options.minutes
    settings = {
        "model.engine": options.engine,
        "model.path": options.model,
        "transport.source": "midi_clock",
        "generation.bars": 1,
    }
    with (
        JackServer(period=options.period, realtime=options.realtime) as server,
        FrameProbe(server.env) as probe,
        Service(server.env, settings) as service,
        OscClient(port=service.osc_port) as osc,
        Events(service.osc_port) as events,
    ):
        probe.listen_to(server.wait_for_port("RWKV Music Out"))
        probe.play_to(server.wait_for_port("RWKV Music In"))
        runs = result["runs"]
        while _triggers(runs) < options.triggers and time.monotonic() < ends_s:
            number = len(runs)
            count = min(TRIGGERS_A_RUN, options.triggers - _triggers(runs))
            meter, tempo = METERS[number % len(METERS)], tempo_bpm(number)
            probe.stalls()
            performance = perform(
                probe, osc, events, tempo, meter, count, Random(number), busy=True
            )
            runs.append(judge(performance, probe.stalls(), options.engine == "scripted"))
            _tell(runs[-1], _triggers(runs), options.triggers)
            write(result, options.json)
        result["errors"] += [line for line in service.said().splitlines() if "ERROR" in line]
    write(result, options.json)


def begun(options: argparse.Namespace) -> dict[str, Any]:
    """What the file has, if it was made in the same way. Raises ValueError if not."""
    made = {
        "benchmark": "odd_triggers",
        "jack": {"period": options.period, "rate": 48_000, "realtime": options.realtime},
        "engine": options.engine,
    }
    if options.json is not None and options.json.exists():
        before: dict[str, Any] = json.loads(options.json.read_text(encoding="utf-8"))
        if any(before.get(key) != value for key, value in made.items()):
            raise ValueError(f"{options.json} was made in another way: expected {made}")
        before["machines"].append(machine())
        return before
    return {**made, "machines": [machine()], "runs": [], "errors": []}


def _triggers(runs: list[dict[str, Any]]) -> int:
    return sum(run["triggers"] for run in runs)


def _tell(run: dict[str, Any], done: int, wanted: int) -> None:
    worst = max(map(abs, run["errors_ms"]), default=float("nan"))
    line = f"{done}/{wanted}: {run['tempo_bpm']:.1f} BPM {run['meter']}, worst {worst:.2f} ms"
    print(line, run["problem"] or "", file=sys.stderr)


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each meter, each range of tempos, and all."""
    groups = {
        f"{n}/{d}": [r for r in result["runs"] if r["meter"] == f"{n}/{d}"] for n, d in METERS
    }
    for low, high in pairwise(_SPEEDS_BPM):
        inside = [r for r in result["runs"] if low <= r["tempo_bpm"] < high]
        groups[f"{low} to {high} BPM"] = inside
    groups["all"] = result["runs"]
    made = []
    for name, runs in groups.items():
        sizes = [abs(error) for run in runs for error in run["errors_ms"]]
        made.append(
            {
                "": name,
                "triggers": _triggers(runs),
                "notes": sum(run["notes"] for run in runs),
                "late": sum(run["late"] for run in runs),
                "dropped": sum(run["dropped"] for run in runs),
                "p50_ms": percentile(sizes, 50),
                "p99_ms": percentile(sizes, 99),
                "max_ms": percentile(sizes, 100),
                "stalls": sum(run["stalls"] for run in runs),
                "calm": sum(len(run["calm_ms"]) for run in runs),
                "calm_p99_ms": percentile([abs(e) for run in runs for e in run["calm_ms"]], 99),
                "other": sum(bool(run["problem"]) for run in runs),
            }
        )
    return made


def is_reached(result: dict[str, Any]) -> bool:
    """Whether nothing was late or dropped, every note was the right one, and the error small."""
    everything = rows(result)[-1]
    return (
        everything["late"] == everything["dropped"] == everything["other"] == 0
        and everything["p99_ms"] <= TARGET_P99_MS
    )


def report(result: dict[str, Any]) -> str:
    errors = [error for run in result["runs"] for error in run["errors_ms"]]
    verdict = "reached" if is_reached(result) else "MISSED"
    return (
        f"{table(rows(result))}\n\nms beside the place, note-ons\n{histogram(errors, _EDGES_MS)}\n"
        f"target: 0 late, 0 dropped, the right notes, p99 <= {TARGET_P99_MS} ms: {verdict}"
    )


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help=f"{QUICK_TRIGGERS} triggers")
    made.add_argument("--triggers", type=int, help=f"how many in all (default {TRIGGERS})")
    made.add_argument("--minutes", type=float, default=120.0, help="stop after so many")
    made.add_argument("--realtime", action="store_true", help="jackd -R, as musicians run it")
    made.add_argument("--engine", default="scripted", help="model.engine of the service")
    made.add_argument("--model", default="", help="model.path of the service")
    made.add_argument("--period", type=int, default=64, help="frames a period of JACK")
    made.add_argument("--json", type=Path, help="keep the figures here, and go on from them")
    options = made.parse_args(arguments)
    options.triggers = options.triggers or (QUICK_TRIGGERS if options.quick else TRIGGERS)
    try:
        result = begun(options)
    except ValueError as error:
        made.error(str(error))
    measure(options, result)
    print(report(result))
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
