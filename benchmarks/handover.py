"""Is every note on its place? The service on JACK, conducted by MIDI clock, triggered at random.

    python -m benchmarks.handover [--quick] [--triggers N] [--tempos 60,120] [--meters 4/4]
        [--engine scripted] [--model PATH] [--period 64] [--realtime]
        [--json FILE]

A probe in a process of its own sends the clock (24 ticks a beat) and hears the notes. The place
of a note is the moment at which the probe sent the tick of its beat, or the point between ticks.
The lateness of a note-on is its arrival at the probe, minus its place, minus the loopback: twice
the median time that a tick takes from the probe's player to the probe's own listener in the same
run, once for the tick's way to the service and once for the note's way back. Every way through
JACK takes until its next period begins, so a single note is up to one period early or late beside
that median: that is in the figures. `calm` are the notes in whose neighbourhood (two beats) no tick
took 3 ms longer than usual to the probe's own listener: on a machine with other work, that tells
what the service did from what was done to JACK. `tick p99` says the same of the rig: how much more
than the median a tick took straight to the listener, which the service has no part in.

With the scripted model the notes are known beforehand: one on every beat of the bars asked for.
They are compared, note by note and with their lengths, with the port, with /rwkv/note/played and
with /rwkv/history. With another model the notes are what /rwkv/note/played tells, lengths are left
out (a pitch struck again cuts its predecessor), and the target is that none is dropped and no
completion silent.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from rwkv_music_daemon.osc.client import OscClient

from .events import Events
from .figures import machine, percentile, table, write
from .performance import STEPS_PER_BEAT, Meter, NoteOn, Performance, perform
from .rig import JackServer, Probe, Service

TEMPOS_BPM = (60.0, 120.0, 200.0)
METERS: tuple[Meter, ...] = ((4, 4), (3, 4), (6, 8))
BARS, TRIGGERS, QUICK_TRIGGERS = 2, 60, 6
TARGET_P99_MS = 1.5
_STALL_MS = 3.0  # what the scheduler of a quiet machine does not take from JACK
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
    played = [note for _, note in performance.played]
    notes = scripted_notes(performance) if scripted else sorted(played)
    ways_ms = performance.loopback_ms()
    loopback_ms = 2 * median(ways_ms)
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
    calm = _calm(performance, sizes)
    return {
        "tempo_bpm": performance.tempo_bpm,
        "meter": "{}/{}".format(*performance.meter),
        "triggers": len(performance.start_bars),
        "notes": len(performance.struck()),
        "p50_ms": percentile(sizes, 50),
        "p99_ms": percentile(sizes, 99),
        "max_ms": percentile(sizes, 100),
        "calm": len(calm),
        "calm_p99_ms": percentile(calm, 99),
        "mean_ms": sum(beyond) / len(beyond) if beyond else float("nan"),
        "off_p99_ms": percentile([abs(error) for error in ends], 99),
        "loopback_ms": loopback_ms,
        "tick_p99_ms": percentile(ways_ms, 99) - loopback_ms / 2,
        "tick_max_ms": max(ways_ms),
        "ticks_repeated": performance.repeated_ticks(),
        "late": sum(done[3] for done in performance.done),
        "dropped": sum(done[4] for done in performance.done),
        "worst_ms": max((done[5] for done in performance.done), default=float("nan")),
        "probe_p99_ms": percentile(performance.sending_ms(), 99),
        "same": "no: " + "; ".join(problems) if problems else "yes",
        "errors_ms": [round(error, 4) for error in beyond],
    }


def _calm(performance: Performance, errors_ms: list[float]) -> list[float]:
    """The errors of notes during whose tempo window (two beats) the rig itself did not stall."""
    stalls = performance.stalls(_STALL_MS)
    window_ns = 2 * performance.beat_ns
    arrivals = [t for t, _, _ in performance.struck()]
    return [
        error
        for t, error in zip(arrivals, errors_ms, strict=False)
        if not any(-window_ns < t - stall < window_ns for stall in stalls)
    ]


def _first(notes: list[NoteOn], compared: int) -> list[tuple[int, ...]]:
    """Notes in order, with so many of their numbers."""
    return sorted(note[:compared] for note in notes)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run all cells on one service."""
    random = Random(options.seed)
    scripted = options.engine == "scripted"
    settings = {
        "model.engine": options.engine,
        "model.path": options.model,
        "transport.source": "midi_clock",
        "generation.bars": BARS,
    }
    cells: list[dict[str, Any]] = []
    result = {
        "benchmark": "handover",
        "machine": machine(),
        "jack": {
            "period": options.period,
            "rate": 48_000,
            "realtime": options.realtime,
            "backend": "dummy, synchronous",
        },
        "engine": options.engine,
        "cells": cells,
        "errors": [],
    }
    with (
        JackServer(period=options.period, realtime=options.realtime) as server,
        Probe(server.env) as probe,
        Service(server.env, settings) as service,
        OscClient(port=service.osc_port) as osc,
        Events(service.osc_port) as events,
    ):
        probe.listen_to(server.wait_for_port("RWKV Music Out"))
        probe.play_to(server.wait_for_port("RWKV Music In"))
        probe.play_to(probe.listener)
        for meter in options.meters:
            for tempo_bpm in options.tempos:
                name = f"{tempo_bpm:g} BPM {meter[0]}/{meter[1]}"

                def tell(done: int, name: str = name) -> None:
                    print(f"\r{name}: {done}/{options.triggers} ", end="", file=sys.stderr)

                performance = perform(
                    probe, osc, events, tempo_bpm, meter, options.triggers, random, tell
                )
                cells.append(judge(performance, scripted))
                print(
                    f"\r{name}: p99 {cells[-1]['p99_ms']:.3f} ms, same {cells[-1]['same']}",
                    file=sys.stderr,
                )
                write(result, options.json)  # what there is, should it be interrupted
        result["errors"] = [line for line in service.said().splitlines() if "ERROR" in line]
    return result


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
    made.add_argument("--json", type=Path, help="write the figures here, too")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    options.triggers = options.triggers or (QUICK_TRIGGERS if options.quick else TRIGGERS)
    result = measure(options)
    print(report(result))
    write(result, options.json)
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
