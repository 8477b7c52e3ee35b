"""How long from a trigger to the first note with `quantize: now`?

    python -m benchmarks.launch [--quick] [--triggers N] [--tempo 120] [--json FILE]

The scripted model plays a note on every step (model.path=steps). The time runs from just before
the OSC packet is handed to the system until the first note-on is heard by the probe; the way of
the note through JACK is in it, and stated. A note may start on the next step at the earliest, so
the time lies anywhere between nothing and one step; the target is one step plus 10 ms.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from rwkv_music_daemon.osc.client import OscClient

from .figures import machine, percentile, table, write
from .rig import JackServer, Probe, Service, loopback_ms

TRIGGERS, QUICK_TRIGGERS = 200, 30
STEPS_PER_BEAT = 12
TARGET_BEYOND_STEP_MS = 10.0
_SOUNDS_S = 0.15  # long enough for the first note at any tempo measured here
_SILENT_S = 0.05


def first_notes_ms(probe: Probe, osc: OscClient, triggers: int, random: Random) -> list[float]:
    """From packet to note-on, a figure a trigger; NaN where no note came."""
    waited: list[float] = []
    for number in range(triggers):
        time.sleep(_SILENT_S + random.uniform(0, 0.1))
        probe.heard()
        sent_ns = time.monotonic_ns()
        osc.send("/rwkv/trigger")
        time.sleep(_SOUNDS_S)
        osc.request("/rwkv/stop")
        struck = [t for t, m in probe.heard() if m[0] & 0xF0 == 0x90 and m[2]]
        waited.append((struck[0] - sent_ns) / 1e6 if struck else float("nan"))
        print(f"\rtriggers: {number + 1}/{triggers} ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return waited


def measure(options: argparse.Namespace) -> dict[str, Any]:
    settings = {
        "model.path": "steps",
        "transport.source": "internal",
        "transport.tempo_bpm": options.tempo,
        "generation.quantize": "now",
    }
    with (
        JackServer(period=options.period) as server,
        Probe(server.env) as probe,
        Service(server.env, settings) as service,
        OscClient(port=service.osc_port) as osc,
    ):
        probe.play_to(probe.listener)
        loopback = median(loopback_ms(probe))
        probe.listen_to(server.wait_for_port("RWKV Music Out"))
        osc.request("/rwkv/transport/play")
        first_notes_ms(probe, osc, 3, Random(0))  # the first ones warm everything up
        waited = first_notes_ms(probe, osc, options.triggers, Random(options.seed))
    step_ms = 60_000 / options.tempo / STEPS_PER_BEAT
    came = [ms for ms in waited if ms == ms]
    row = {
        "tempo_bpm": options.tempo,
        "triggers": len(waited),
        "silent": len(waited) - len(came),
        "step_ms": step_ms,
        "p50_ms": percentile(came, 50),
        "p90_ms": percentile(came, 90),
        "p99_ms": percentile(came, 99),
        "max_ms": percentile(came, 100),
        "beyond_step_ms": percentile(came, 100) - step_ms,
        "loopback_ms": loopback,
    }
    return {
        "benchmark": "launch",
        "machine": machine(),
        "jack": {"period": options.period, "rate": 48_000, "backend": "dummy, synchronous"},
        "rows": [row],
        "waited_ms": [round(ms, 3) for ms in waited],
    }


def is_reached(result: dict[str, Any]) -> bool:
    """Whether every first note came in time."""
    return all(
        row["silent"] == 0 and row["beyond_step_ms"] <= TARGET_BEYOND_STEP_MS
        for row in result["rows"]
    )


def report(result: dict[str, Any]) -> str:
    verdict = "reached" if is_reached(result) else "MISSED"
    return (
        f"{table(result['rows'])}\ntarget: at most one step plus {TARGET_BEYOND_STEP_MS:g} ms,"
        f" the loopback included: {verdict}"
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help=f"{QUICK_TRIGGERS} triggers")
    made.add_argument("--triggers", type=int, help=f"how many (default {TRIGGERS})")
    made.add_argument("--tempo", type=float, default=120.0, help="quarters a minute")
    made.add_argument("--period", type=int, default=64, help="frames a period of JACK")
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
