"""Is every note on its place? The service on JACK, conducted by MIDI clock, triggered at random.

    python -m benchmarks.handover [--quick] [--triggers N] [--tempos 60,120] [--meters 4/4]
        [--engine scripted] [--model PATH] [--period 64] [--realtime]
        [--minutes 90] [--json FILE]

A probe sends the clock (24 ticks a beat) and hears the notes. It is a JACK client in a process of
its own and reads places and arrivals in frames of the server's. The place of a note is the frame at
which the tick of its beat was sent, or the point between ticks. The lateness of a note-on is its
arrival, minus its place, minus the loopback: the median time that a message takes through the ports
of a program that sends it back in the same period, which is one period: of two programs that send
to each other, one is always that far behind. `stalls` counts the periods that the server missed,
because it or the whole machine stood still; `calm` are the notes that had none in the two beats
before them.

Every cell has a server and a service of its own. One in which the server went on without a client
that was not done in time (`left_out`; then messages are lost before anybody sees them) is made
again, and `again` says how often. With --json, what the file has is continued with.

With the scripted model the notes are known beforehand: one on every beat of the bars asked for.
They are compared, note by note and with their lengths, with the port, with /rwkv/note/played and
with /rwkv/history. With another model the notes are what /rwkv/note/played tells, lengths are left
out (a pitch struck again cuts its predecessor), and the target is that none is dropped and no
completion silent.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from .figures import begun, percentile, table, write
from .performance import STEPS_PER_BEAT, Meter, NoteOn, Performance, perform
from .stage import staged

TEMPOS_BPM = (60.0, 120.0, 200.0)
METERS: tuple[Meter, ...] = ((4, 4), (3, 4), (6, 8))
BARS, TRIGGERS, QUICK_TRIGGERS = 2, 60, 6
TARGET_P99_MS = 1.5
_MOST_AGAIN = 2
_BEAT_PITCH, _VELOCITY = 60, 79  # the scripted model's


def scripted_notes(performance: Performance) -> list[NoteOn]:
    """What the scripted model plays to these triggers: a note on every beat, a step short of the
    next one or of the bar line."""
    bar_steps = round(performance.bar_beats * STEPS_PER_BEAT)
    return [
        (
            bar * bar_steps + step,
            _BEAT_PITCH + step // STEPS_PER_BEAT,
            _VELOCITY,
            min(STEPS_PER_BEAT, bar_steps - step) - 1,
        )
        for start_bar in performance.start_bars
        for bar in range(start_bar, start_bar + performance.bars)
        for step in range(0, bar_steps, STEPS_PER_BEAT)
    ]


def lateness_ms(performance: Performance, notes: list[NoteOn]) -> list[float]:
    """Of each note-on on the port, the loopback not yet taken off. Raises ValueError when they
    are not these notes."""
    struck = performance.struck()
    if [(p, v) for _, p, v in struck] != [(p, v) for _, p, v, _ in notes]:
        raise ValueError(f"{len(struck)} note-ons came for {len(notes)} notes, or others")
    places = (performance.place_ns(step) for step, *_ in notes)
    return [(t - place) / 1e6 for (t, _, _), place in zip(struck, places, strict=True)]


def release_lateness_ms(performance: Performance, notes: list[NoteOn]) -> list[float]:
    """The same of the note-offs, in the order of time."""
    released = performance.released()
    ends = sorted((step + length, pitch) for step, pitch, _, length in notes)
    if [p for _, p in released] != [p for _, p in ends]:
        raise ValueError(f"{len(released)} note-offs came for {len(ends)} notes, or others")
    return [
        (t - performance.place_ns(end)) / 1e6
        for (t, _), (end, _) in zip(released, ends, strict=True)
    ]


def judge(performance: Performance, scripted: bool) -> dict[str, Any]:
    """The figures of a cell."""
    loopback_ms = performance.loopback_ms
    played = [note for _, note in performance.played]
    notes = scripted_notes(performance) if scripted else sorted(played)
    problems = []
    beyond: list[float] = []
    ends: list[float] = []
    try:
        beyond = [late - loopback_ms for late in lateness_ms(performance, notes)]
        if scripted:
            ends = [late - loopback_ms for late in release_lateness_ms(performance, notes)]
    except ValueError as error:
        problems.append(str(error))
    compared = 4 if scripted else 3  # without the lengths
    if sorted(played) != sorted(notes):
        problems.append(f"/rwkv/note/played told {len(played)} notes, not the same")
    if _first(performance.history, compared) != _first(notes, compared):
        problems.append(f"/rwkv/history told {len(performance.history)} notes, not the same")
    requests = {request for request, _ in performance.played}
    if len(requests) != len(performance.start_bars) or len(performance.done) != len(requests):
        problems.append(f"{len(requests)} completions sounded, {len(performance.done)} were done")
    sizes = [abs(error) for error in beyond]
    calm_sizes = performance.calm(sizes)
    return {
        "tempo_bpm": performance.tempo_bpm,
        "meter": "{}/{}".format(*performance.meter),
        "triggers": len(performance.start_bars),
        "notes": len(performance.struck()),
        "p50_ms": percentile(sizes, 50),
        "p99_ms": percentile(sizes, 99),
        "max_ms": percentile(sizes, 100),
        "stalls": len(performance.stalls),
        "calm": len(calm_sizes),
        "calm_p99_ms": percentile(calm_sizes, 99),
        "mean_ms": sum(beyond) / len(beyond) if beyond else float("nan"),
        "off_p99_ms": percentile([abs(error) for error in ends], 99),
        "loopback_ms": loopback_ms,
        "late": sum(done[3] for done in performance.done),
        "dropped": sum(done[4] for done in performance.done),
        "worst_ms": max((done[5] for done in performance.done), default=float("nan")),
        "left_out": performance.left_out,
        "same": "no: " + "; ".join(problems) if problems else "yes",
        "errors_ms": [round(error, 4) for error in beyond],
    }


def _first(notes: list[NoteOn], compared: int) -> list[tuple[int, ...]]:
    """Notes in order, with so many of their numbers."""
    return sorted(note[:compared] for note in notes)


def measure(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Make the cells that are not there yet, until the time is up."""
    ends_s = time.monotonic() + 60 * options.minutes
    made = {(cell["tempo_bpm"], cell["meter"]) for cell in result["cells"]}
    for meter in options.meters:
        for tempo_bpm in options.tempos:
            if (tempo_bpm, "{}/{}".format(*meter)) in made or time.monotonic() > ends_s:
                continue
            again = 0
            cell = make_cell(options, tempo_bpm, meter, result["errors"])
            while cell["left_out"] and cell["same"] != "yes" and again < _MOST_AGAIN:
                again += 1
                cell = make_cell(options, tempo_bpm, meter, result["errors"])
            result["cells"].append({**cell, "again": again})
            write(result, options.json)  # what there is, should it be interrupted


def make_cell(
    options: argparse.Namespace, tempo_bpm: float, meter: Meter, errors: list[str]
) -> dict[str, Any]:
    """The figures of one cell. What the service logged as errors meanwhile joins `errors`."""
    name = f"{tempo_bpm:g} BPM {meter[0]}/{meter[1]}"
    settings = {
        "model.engine": options.engine,
        "model.path": options.model,
        "generation.bars": BARS,
    }
    with staged(settings, options.period, options.realtime) as stage:
        performance = perform(
            stage,
            tempo_bpm,
            meter,
            options.triggers,
            Random(f"{options.seed} {name}"),
            lambda done: _tell(f"{name}: {done}/{options.triggers}"),
        )
        errors += stage.errors()
    cell = judge(performance, options.engine == "scripted")
    _tell(f"{name}: p99 {cell['p99_ms']:.3f} ms, same {cell['same']}\n")
    return cell


def _tell(line: str) -> None:
    print(f"\r{line} ", end="", file=sys.stderr, flush=True)


def is_reached(result: dict[str, Any]) -> bool:
    """Whether every cell keeps the targets."""
    return all(
        (cell["p99_ms"] <= TARGET_P99_MS or result["engine"] != "scripted")
        and cell["dropped"] == 0
        and cell["same"] == "yes"
        for cell in result["cells"]
    )


def report(result: dict[str, Any]) -> str:
    rows = [{k: v for k, v in c.items() if k != "errors_ms"} for c in result["cells"]]
    errors = [abs(error) for cell in result["cells"] for error in cell["errors_ms"]]
    verdict = "reached" if is_reached(result) else "MISSED"
    late = sum(cell["late"] for cell in result["cells"])
    return (
        f"{table(rows)}\n{late} notes came too late from the model\n"
        f"all {len(errors)} note-ons: p50 {percentile(errors, 50):.3f}, p99"
        f" {percentile(errors, 99):.3f}, max {percentile(errors, 100):.3f} ms beyond the loopback;"
        f" target{f' p99 <= {TARGET_P99_MS} ms,' if result['engine'] == 'scripted' else ''} none"
        f" dropped, the same notes everywhere: {verdict}"
    )


def _meters(text: str) -> list[Meter]:
    pairs = (item.split("/") for item in text.split(","))
    return [(int(numerator), int(denominator)) for numerator, denominator in pairs]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help=f"{QUICK_TRIGGERS} triggers a cell")
    made.add_argument("--triggers", type=int, help=f"triggers a cell (default {TRIGGERS})")
    made.add_argument(
        "--tempos", type=lambda t: [float(x) for x in t.split(",")], default=TEMPOS_BPM
    )
    made.add_argument("--meters", type=_meters, default=METERS)
    made.add_argument("--engine", default="scripted", help="model.engine of the service")
    made.add_argument("--model", default="", help="model.path of the service")
    made.add_argument("--period", type=int, default=64, help="frames a period of JACK")
    made.add_argument("--realtime", action="store_true", help="jackd -R, as musicians run it")
    made.add_argument("--seed", type=int, default=0, help="of the random moments")
    made.add_argument("--minutes", type=float, default=90.0, help="begin no cell after so many")
    made.add_argument("--json", type=Path, help="keep the figures here, and go on from them")
    return made


def main(arguments: list[str] | None = None) -> int:
    made = parser()
    options = made.parse_args(arguments)
    options.triggers = options.triggers or (QUICK_TRIGGERS if options.quick else TRIGGERS)
    try:
        result = begun(
            {
                "benchmark": "handover",
                "jack": {
                    "period": options.period,
                    "rate": 48_000,
                    "realtime": options.realtime,
                    "backend": "dummy, synchronous",
                },
                "engine": options.engine,
                "triggers": options.triggers,
            },
            {"cells": [], "errors": []},
            options.json,
        )
    except ValueError as error:
        made.error(str(error))
    measure(options, result)
    print(report(result))
    write(result, options.json)
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
