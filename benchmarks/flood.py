"""Does a flood of OSC packets move the music? The hand-over with and without one, in turns.

    python -m benchmarks.flood [--quick] [--rate 10000] [--triggers N] [--json FILE]

A process of its own sends so many packets a second to the service: pings, requests that are
wrong, and bytes that are no OSC. The lateness of the notes is that of the hand-over benchmark.
"""

from __future__ import annotations

import argparse
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rwkv_music_daemon.osc.encoding import encode_any

from .figures import machine, table, write
from .handover import BARS, judge
from .performance import perform
from .stage import staged

RATE, TRIGGERS, QUICK_TRIGGERS, TURNS = 10_000, 20, 4, 2
_BURST = 20  # packets at once, then a pause


def pour(port: int, rate: int) -> None:
    """Send packets until killed; each second is told on standard output."""
    packets = [
        encode_any("/rwkv/ping", "flood"),
        encode_any("/rwkv" + "/nonsense", 1),
        encode_any("/rwkv/set/bars", 1000),
        b"#bundle\0" + bytes(8) + b"\xff\xff\xff\xfc",
        random.Random(0).randbytes(200),
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        start_s, sent = time.monotonic(), 0
        while True:
            for _ in range(_BURST):
                sender.sendto(packets[sent % len(packets)], ("127.0.0.1", port))
                sent += 1
            time.sleep(max(start_s + sent / rate - time.monotonic(), 0))
            if sent % rate < _BURST:
                print(sent, round(time.monotonic() - start_s, 1), flush=True)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(0)
    settings = {"generation.bars": BARS}
    rows: list[dict[str, Any]] = []
    with staged(settings, options.period, realtime=False) as stage:
        pids = stage.service.pids()
        for turn in range(2 * TURNS):
            flooded = turn % 2 == 1
            command = [sys.executable, "-m", "benchmarks.flood", f"--pour={stage.service.osc_port}"]
            flood = subprocess.Popen(
                [*command, f"--rate={options.rate}"] if flooded else [sys.executable, "-c", ""],
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                performance = perform(stage, 120.0, (4, 4), options.triggers, rng)
            finally:
                flood.terminate()
                told = flood.communicate()[0].split()
            cell = judge(performance, scripted=True)
            kept = ("notes", "p50_ms", "p99_ms", "max_ms", "late", "dropped", "same")
            rate = float(told[-2]) / float(told[-1]) if flooded and told else 0.0
            rows.append({"flood_per_s": round(rate), **{key: cell[key] for key in kept}})
            time.sleep(1)
        stage.osc.request("/rwkv/ping")
        survived = stage.service.pids() == pids
    return {"benchmark": "flood", "machine": machine(), "rows": rows, "survived": survived}


def is_reached(result: dict[str, Any]) -> bool:
    """Whether nothing was lost and nobody died. How the lateness compares is for the reader."""
    kept = all(row["same"] == "yes" and row["dropped"] == 0 for row in result["rows"])
    return bool(kept and result["survived"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TRIGGERS} triggers a turn")
    parser.add_argument("--triggers", type=int, help=f"triggers a turn (default {TRIGGERS})")
    parser.add_argument("--rate", type=int, default=RATE, help="packets a second")
    parser.add_argument("--period", type=int, default=64, help="frames a period of JACK")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--pour", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.pour:
        pour(options.pour, options.rate)
    options.triggers = options.triggers or (QUICK_TRIGGERS if options.quick else TRIGGERS)
    result = measure(options)
    verdict = "nothing lost" if is_reached(result) else "SOMETHING WAS LOST"
    print(f"{table(result['rows'])}\n{verdict}; all processes survived: {result['survived']}")
    write(result, options.json)
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
