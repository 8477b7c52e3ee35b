"""What the service takes while nobody plays: processor time and memory of all its processes.

    python -m benchmarks.idle [--quick] [--seconds N] [--engine scripted] [--model PATH]

Processor time is user and system time of each process over the seconds, in percent of one core.
Memory three times over: PSS counts a page that n processes share as 1/n in each, so its sum is
what the service adds to the machine; RSS counts it in full in each; the third leaves out the
segment of the JACK server (about 105 MB), which JACK maps and locks into every client and which
the server holds in any case.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from .figures import machine, table, write
from .rig import JackServer, Probe, Service

SECONDS, QUICK_SECONDS = 30.0, 10.0
_SETTLE_S = 8.0  # the loop looks less often once nothing has come in for five seconds
TARGET_CPU_PERCENT, TARGET_MB = 3.0, 200.0
_JACK = "/dev/shm/jack"
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")


def memory_mb(pid: int) -> dict[str, float]:
    """PSS, RSS, and RSS without the segments of JACK, from smaps."""
    kilobytes = {"pss": 0, "rss": 0, "rss_without_jack": 0}
    mapped = ""
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        header = _MAPPING.match(line)
        if header:
            mapped = header[1]
        elif line.startswith("Pss:"):
            kilobytes["pss"] += int(line.split()[1])
        elif line.startswith("Rss:"):
            size = int(line.split()[1])
            kilobytes["rss"] += size
            kilobytes["rss_without_jack"] += 0 if mapped.startswith(_JACK) else size
    return {name: size * 1024 / 1e6 for name, size in kilobytes.items()}


def processor_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    settings = {"model.engine": options.engine, "model.path": options.model}
    with (
        JackServer(period=options.period) as server,
        Service(server.env, settings) as service,
        Probe(server.env) as probe,
    ):
        if options.connected:
            probe.listen_to(server.wait_for_port("RWKV Music Out"))
        time.sleep(_SETTLE_S)
        pids = service.pids()
        before = {role: processor_s(pid) for role, pid in pids.items()}
        start_s = time.monotonic()
        time.sleep(options.seconds)
        passed_s = time.monotonic() - start_s
        rows: list[dict[str, Any]] = [
            {
                "process": role,
                "cpu_percent": 100 * (processor_s(pid) - before[role]) / passed_s,
                **{f"{name}_mb": size for name, size in memory_mb(pid).items()},
                "threads": psutil.Process(pid).num_threads(),
            }
            for role, pid in pids.items()
        ]
        ready = service.ready_line()
    sums = {key: sum(row[key] for row in rows) for key in rows[0] if key != "process"}
    rows.append({"process": "all", **sums})
    return {
        "benchmark": "idle",
        "machine": machine(),
        "service": ready,
        "seconds": passed_s,
        "rows": rows,
    }


def is_reached(result: dict[str, Any]) -> bool:
    """Whether all processes together stay below the targets (memory as PSS)."""
    whole = result["rows"][-1]
    return bool(whole["cpu_percent"] < TARGET_CPU_PERCENT and whole["pss_mb"] < TARGET_MB)


def report(result: dict[str, Any]) -> str:
    verdict = "reached" if is_reached(result) else "MISSED"
    return (
        f"{result['service']}\n{table(result['rows'])}\nover {result['seconds']:.0f} s; targets:"
        f" under {TARGET_CPU_PERCENT:g} % of one core and {TARGET_MB:g} MB of PSS: {verdict}"
    )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help=f"over {QUICK_SECONDS:g} s")
    made.add_argument("--seconds", type=float, help=f"over so long (default {SECONDS:g})")
    made.add_argument("--engine", default="scripted", help="model.engine of the service")
    made.add_argument("--model", default="", help="model.path of the service")
    made.add_argument(
        "--connected", action="store_true", help="somebody listens: a port stands by for a crash"
    )
    made.add_argument("--period", type=int, default=64, help="frames a period of JACK")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    options.seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    result = measure(options)
    print(report(result))
    write(result, options.json)
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
