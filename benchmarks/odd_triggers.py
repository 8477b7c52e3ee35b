"""Any tempo, five meters, a trigger at any moment, a player who does not wait: is every note there,
and on its place?

    python -m benchmarks.odd_triggers [--quick] [--triggers 500] [--minutes 8] [--realtime]
        [--engine scripted] [--model PATH] [--period 64] [--json FILE]

Like `benchmarks.handover`, but the tempo is another for every five triggers, between 50 and 220
BPM: the golden ratio's multiples, which lie evenly over that range (as many slow ones as fast ones,
by BPM) wherever the series is cut off, while the meters 4/4, 3/4, 6/8, 5/4 and 7/8 take turns. The
player's notes go on through every bar line, 2 to 50 hundredths of a beat apart. A completion has
one bar; the triggers come at random moments, four fifths of them while one plays.

The probe is a JACK client itself and reads places and arrivals in frames of the server's, so that
nothing of itself stands in the figures. What remains beside the service is the way round: of two
programs that send to each other one is always a period of JACK's behind. `beyond` is the error less
the loopback of the same part: the median time that a message takes through the ports of a program
that sends it back in the same period, which is that one period.

`stalls` counts the periods that the server missed, because it or the whole machine stood still;
what was to sound just then is late for everybody. `calm` are the notes that had no stall in the two
beats before them. `parts` says for how long the host of a virtual machine kept its processors for
others.

With --json, what the file has is continued with, so that the whole may be made in parts of
`--minutes`. The verdict is about all parts.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from itertools import pairwise
from math import floor
from pathlib import Path
from random import Random
from typing import Any

from .figures import begun, histogram, percentile, table, write
from .handover import lateness_ms, scripted_notes
from .performance import STEPS_PER_BEAT, Meter, NoteOn, Performance, perform
from .stage import staged

METERS: tuple[Meter, ...] = ((4, 4), (3, 4), (6, 8), (5, 4), (7, 8))
SLOWEST_BPM, FASTEST_BPM = 50.0, 220.0
TRIGGERS, QUICK_TRIGGERS, TRIGGERS_A_RUN = 500, 10, 5
TARGET_P99_MS = 1.0
_GOLDEN = 0.6180339887498949
_EDGES_MS = [round(-1.5 + 0.1 * k, 1) for k in range(31)]
_SPEEDS_BPM = (50, 90, 140, 180, 220)
_LAST_MOMENTS_MS = 10.0  # and half a step: who triggers then may be answered a bar later


def tempo_bpm(run: int) -> float:
    """The tempo of the `run`th run, from 0."""
    return round(SLOWEST_BPM + (FASTEST_BPM - SLOWEST_BPM) * ((run + 0.5) * _GOLDEN % 1.0), 3)


def judge(performance: Performance, scripted: bool) -> dict[str, Any]:
    """The figures of a run."""
    problems = [_misplaced(performance)]
    # Of two triggers for one line the second has replaced the first.
    performance.start_bars = sorted(set(performance.start_bars))
    played = sorted(note for _, note in performance.played)
    notes = scripted_notes(performance) if scripted else played
    errors: list[float] = []
    try:
        errors = lateness_ms(performance, notes)
    except ValueError as error:
        problems.append(f"{error}: {_difference(performance, notes)}")
    if played != sorted(notes):
        unlike = sorted(set(played) ^ set(notes))
        problems.append(f"/rwkv/note/played told {len(played)} notes, not the same: {unlike}")
    if len(performance.done) != len(performance.start_bars):
        problems.append(f"{len(performance.done)} completions were done")
    return {
        "tempo_bpm": performance.tempo_bpm,
        "meter": "{}/{}".format(*performance.meter),
        "triggers": len(performance.start_bars),
        "notes": len(performance.struck()),
        "late": sum(done[3] for done in performance.done),
        "dropped": sum(done[4] for done in performance.done),
        "worst_ms": max((done[5] for done in performance.done), default=float("nan")),
        "stalls": len(performance.stalls),
        "problem": "; ".join(filter(None, problems)),
        "errors_ms": [round(error, 4) for error in errors],
        "calm_ms": [round(error, 4) for error in performance.calm(errors)],
        "left_out": performance.left_out,
        "loopback_ms": round(performance.loopback_ms, 4),
    }


def _misplaced(performance: Performance) -> str:
    """What is wrong with the bars that the triggers were promised: as a completion has one bar, and
    begins and ends on a line, every trigger is for the next line, whatever plays."""
    last_moments = 0.5 / STEPS_PER_BEAT + _LAST_MOMENTS_MS * 1e6 / performance.beat_ns
    for asked, start_bar in zip(performance.asked_beats, performance.start_bars, strict=True):
        earliest = floor(asked / performance.bar_beats) + 1
        latest = floor((asked + last_moments) / performance.bar_beats) + 1
        if not earliest <= start_bar <= latest:
            return f"a trigger at beat {asked:.2f} was promised bar {start_bar}, not {earliest}"
    return ""


def _difference(performance: Performance, notes: list[NoteOn]) -> str:
    """The note-ons that are missing on the port, and those that are too many: step and pitch."""
    expected = Counter((step, pitch) for step, pitch, *_ in notes)
    steps = ((t - performance.first_ns) / performance.beat_ns for t, _, _ in performance.struck())
    pitches = (pitch for _, pitch, _ in performance.struck())
    there = Counter((round(b * STEPS_PER_BEAT), p) for b, p in zip(steps, pitches, strict=True))
    return f"missing {sorted(expected - there)}, too many {sorted(there - expected)}"


def measure(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Go on with the runs there are, until there are enough triggers or the time is up."""
    ends_s = time.monotonic() + 60 * options.minutes
    settings = {
        "model.engine": options.engine,
        "model.path": options.model,
        "generation.bars": 1,
    }
    stolen = stolen_s()
    with staged(settings, options.period, options.realtime) as stage:
        runs = result["runs"]
        while _triggers(runs) < options.triggers and time.monotonic() < ends_s:
            number = len(runs)
            count = min(TRIGGERS_A_RUN, options.triggers - _triggers(runs))
            meter, tempo = METERS[number % len(METERS)], tempo_bpm(number)
            performance = perform(stage, tempo, meter, count, Random(number), busy=True)
            runs.append(judge(performance, options.engine == "scripted"))
            _tell(runs[-1], _triggers(runs), options.triggers)
            write(result, options.json)
        result["errors"] += stage.errors()
    part = {"seconds": 60 * options.minutes - (ends_s - time.monotonic())}
    part["stolen_s"] = stolen_s() - stolen
    result["parts"].append({name: round(value, 2) for name, value in part.items()})
    write(result, options.json)


def stolen_s() -> float:
    """How long the host has kept a processor of this machine for others, so far."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


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
                "beyond_p99_ms": percentile(_beyond(runs, "errors_ms"), 99),
                "stalls": sum(run["stalls"] for run in runs),
                "calm": sum(len(run["calm_ms"]) for run in runs),
                "calm_p99_ms": percentile([abs(e) for run in runs for e in run["calm_ms"]], 99),
                "calm_beyond_p99_ms": percentile(_beyond(runs, "calm_ms"), 99),
                "other": sum(bool(run["problem"]) for run in runs),
            }
        )
    return made


def _beyond(runs: list[dict[str, Any]], errors: str) -> list[float]:
    """How far notes lie from where they would be, had they taken what the loopback takes."""
    return [abs(error - run["loopback_ms"]) for run in runs for error in run[errors]]


def is_reached(result: dict[str, Any]) -> bool:
    """Whether nothing was late or dropped, every note was the right one, and the error small."""
    everything = rows(result)[-1]
    return (
        everything["late"] == everything["dropped"] == everything["other"] == 0
        and everything["beyond_p99_ms"] <= TARGET_P99_MS
    )


def report(result: dict[str, Any]) -> str:
    errors = [error for run in result["runs"] for error in run["errors_ms"]]
    verdict = "reached" if is_reached(result) else "MISSED"
    loopbacks = sorted({run["loopback_ms"] for run in result["runs"]})
    return (
        f"{table(rows(result))}\n\nms beside the place, note-ons\n{histogram(errors, _EDGES_MS)}\n"
        f"loopback of each part: {loopbacks} ms; parts: {result['parts']}\n"
        "target: 0 late, 0 dropped, the right notes,"
        f" p99 beyond the loopback <= {TARGET_P99_MS} ms: {verdict}"
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
        result = begun(
            {
                "benchmark": "odd_triggers",
                "jack": {"period": options.period, "rate": 48_000, "realtime": options.realtime},
                "engine": options.engine,
            },
            {"parts": [], "runs": [], "errors": []},
            options.json,
        )
    except ValueError as error:
        made.error(str(error))
    measure(options, result)
    print(report(result))
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
