"""How late the first completions of a service are that has just started, and knows little yet of
how long its model needs.

    python -m benchmarks.beginnings [--starts N] [--json FILE]

On a JACK server of its own: the service with the embedded model, four takes of one bar at 220 BPM,
where half a step is 11 ms; three triggers at random moments, then the next service. Notes that were
late by the service's own count, and by how much the worst. Run it beside whatever else a musician's
machine may have to do.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

from rwkv_music_daemon.osc.client import OscClient

from .events import Events
from .figures import machine, table, write
from .rig import JackServer, Service

SETTINGS = {
    "model.engine": "auto",
    "transport.source": "internal",
    "transport.tempo_bpm": 220,
    "generation.bars": 1,
    "generation.takes": 4,
}
COMPLETIONS = 3
PATIENCE_S = 20.0


def start(server: JackServer, moments: random.Random) -> list[dict[str, float]]:
    """Figures of each of the first completions."""
    figures = []
    with (
        Service(server.env, SETTINGS) as service,
        OscClient(port=service.osc_port, timeout_s=PATIENCE_S) as osc,
        Events(service.osc_port) as events,
    ):
        osc.request("/rwkv/transport/play")
        for _ in range(COMPLETIONS):
            time.sleep(moments.uniform(0.3, 1.2))
            request = osc.request("/rwkv/trigger")[-1].args[0]
            done = events.wait_for("/rwkv/done", lambda m, r=request: m.args[0] == r, PATIENCE_S)[
                1
            ].args
            figures.append(
                dict(zip(("notes", "late", "dropped", "worst_ms"), done[2:], strict=True))
            )
    return figures


def measure(starts: int) -> dict[str, Any]:
    moments = random.Random(1)
    with JackServer(period=64) as server:
        services = [start(server, moments) for _ in range(starts)]
    rows = []
    for number in range(COMPLETIONS):
        figures = [service[number] for service in services]
        rows.append(
            {
                "completion": number + 1,
                "of_services": len(figures),
                "with_late_notes": sum(f["late"] > 0 for f in figures),
                "notes": sum(f["notes"] for f in figures),
                "late": sum(f["late"] for f in figures),
                "dropped": sum(f["dropped"] for f in figures),
                "worst_ms": max(f["worst_ms"] for f in figures),
            }
        )
    return {"machine": machine(), "rows": rows}


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--starts", type=int, default=12)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options.starts)
    print(table(result["rows"]))
    write(result, options.json)


if __name__ == "__main__":
    main()
