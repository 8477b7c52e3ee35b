"""What the service takes while nobody plays: processor time and memory of all its processes.

    python -m benchmarks.idle [--quick] [--seconds N] [--engine scripted] [--model PATH]

Processor time is that of all threads of a process over the seconds, in percent of one core.
Memory three times over: PSS counts a page that n processes share as 1/n in each, so its sum is
what the service adds to the machine; RSS counts it in full in each; the third leaves out the
segment of the JACK server (about 105 MB), which JACK maps and locks into every client and which
the server holds in any case.

The last row is for comparison: two ports of python-rtmidi with nothing behind them, alone on a
server of their own a minute earlier. They are two clients of JACK's, the service is one. JACK wakes
every client once a period, and each wakes the next, which on a virtual machine costs the most when
that means another processor; so it matters who else is there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from .figures import machine, table, write
from .rig import JackServer, Service
from .rig.children import end_with_parent

SECONDS, QUICK_SECONDS = 30.0, 10.0
_SETTLE_S = 8.0  # the loop looks less often once nothing has come in for five seconds
TARGET_CPU_PERCENT, TARGET_MB = 3.0, 200.0
_JACK = "/dev/shm/jack"
_ALL, _BARE = "all", "two bare ports"
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
    """Time on a processor of all threads, by the scheduler's own count: to the nanosecond, where
    the user and system times of a thread that runs for 15 us at a time are a matter of luck."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text(encoding="ascii").split()[0]) for thread in threads) / 1e9


@contextmanager
def bare_ports(env: Mapping[str, str], source: str = "") -> Iterator[int]:
    """The process of two ports that do nothing; its input listens to `source`, if any."""
    script = Path(__file__).parent / "rig" / "bare_ports.py"
    with subprocess.Popen(
        [sys.executable, str(script), *([source] if source else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(env),
        preexec_fn=end_with_parent,
    ) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the bare ports did not open")
        yield process.pid
        process.communicate()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    with JackServer(period=options.period) as server, bare_ports(server.env) as bare:
        floor = _rows({_BARE: bare}, options.seconds)
    settings = {"model.engine": options.engine, "model.path": options.model}
    with (
        JackServer(period=options.period) as server,
        Service(server.env, settings) as service,
        ExitStack() as stack,
    ):
        if options.connected:
            stack.enter_context(bare_ports(server.env, server.wait_for_port("RWKV Music Out")))
        rows = _rows(service.pids(), options.seconds)
        ready = service.ready_line()
    sums = {key: sum(row[key] for row in rows) for key in rows[0] if key != "process"}
    return {
        "benchmark": "idle",
        "machine": machine(),
        "service": ready,
        "seconds": options.seconds,
        "rows": [*rows, {"process": _ALL, **sums}, *floor],
    }


def _rows(pids: Mapping[str, int], seconds: float) -> list[dict[str, Any]]:
    """What these processes take, once they have settled."""
    time.sleep(_SETTLE_S)
    before = {role: processor_s(pid) for role, pid in pids.items()}
    start_s = time.monotonic()
    time.sleep(seconds)
    passed_s = time.monotonic() - start_s
    return [
        {
            "process": role,
            "cpu_percent": 100 * (processor_s(pid) - before[role]) / passed_s,
            **{f"{name}_mb": size for name, size in memory_mb(pid).items()},
            "threads": psutil.Process(pid).num_threads(),
        }
        for role, pid in pids.items()
    ]


def is_reached(result: dict[str, Any]) -> bool:
    """Whether all processes together stay below the targets (memory as PSS)."""
    whole = next(row for row in result["rows"] if row["process"] == _ALL)
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
        "--connected", action="store_true", help="somebody listens to the service's output"
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
