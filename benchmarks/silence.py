"""How long an instrument sounds on when a process of the service is killed.

    python -m benchmarks.silence [--quick] [--times N] [--json FILE]

A chord sounds on FluidSynth with the pedal down, by way of the service; a process gets SIGKILL;
the time runs until FluidSynth counts no voice. In two JACK servers: without real-time priority
(-r), where JACK waits half a second for each client that died before it lets the others go on, and
with it (-R), as musicians run it, where this machine allows that.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from .figures import machine, percentile, table, write
from .rig import JackServer, Probe, Service, Synthesizer

TIMES, QUICK_TIMES = 10, 2
TARGET_S = 1.0
_PATIENCE_S = 20.0
_CHORD = (48, 60, 64, 67)
_ROLES = ("io", "supervisor")


def seconds_to_silence(server: JackServer, role: str) -> float:
    """Of one kill; NaN when it did not come."""
    with (
        Synthesizer(server.env) as synthesizer,
        Probe(server.env) as probe,
        Service(server.env, {"generation.thru": 1}) as service,
    ):
        server.connect(server.wait_for_port("RWKV Music Out"), synthesizer.port)
        probe.play_to(server.wait_for_port("RWKV Music In"))
        time.sleep(1.5)  # the supervisor has been told
        ends_s = time.monotonic() + _PATIENCE_S
        while synthesizer.voices() < len(_CHORD):
            if time.monotonic() > ends_s:
                raise RuntimeError("the chord does not sound")
            probe.play([(0, bytes((0xB0, 64, 127)))])
            probe.play((0, bytes((0x90, pitch, 100))) for pitch in _CHORD)
            probe.wait()
            time.sleep(0.2)
        killed_s = time.monotonic()
        service.kill(role)
        while time.monotonic() - killed_s < _PATIENCE_S:
            if synthesizer.voices() == 0:
                return time.monotonic() - killed_s
            time.sleep(0.005)
        return float("nan")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for role in options.roles:
        for realtime in (False, True):
            taken: list[float] = []
            for number in range(options.times):
                print(f"\r{role}, realtime {realtime}: {number + 1}/{options.times} ", end="")
                try:
                    # A synchronous server waits five seconds for every client that was killed.
                    with JackServer(period=256, synchronous=False, realtime=realtime) as server:
                        taken.append(seconds_to_silence(server, role))
                except RuntimeError as error:
                    print(f"left out: {error}", file=sys.stderr)
            came = [seconds for seconds in taken if seconds == seconds]
            rows.append(
                {
                    "killed": role,
                    "jack": "-R" if realtime else "-r",
                    "times": len(taken),
                    "never": len(taken) - len(came),
                    "p50_s": percentile(came, 50),
                    "max_s": percentile(came, 100),
                }
            )
            write({"benchmark": "silence", "machine": machine(), "rows": rows}, options.json)
    print()
    return {"benchmark": "silence", "machine": machine(), "rows": rows}


def is_reached(result: dict[str, Any]) -> bool:
    """Whether it was silent within a second everywhere."""
    measured = [row for row in result["rows"] if row["times"]]
    return all(row["never"] == 0 and row["max_s"] <= TARGET_S for row in measured)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TIMES} times each")
    parser.add_argument("--times", type=int, help=f"kills each (default {TIMES})")
    parser.add_argument("--roles", type=lambda text: text.split(","), default=_ROLES)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args(arguments)
    options.times = options.times or (QUICK_TIMES if options.quick else TIMES)
    result = measure(options)
    verdict = "reached" if is_reached(result) else "MISSED"
    print(f"{table(result['rows'])}\ntarget: silence within {TARGET_S:g} s: {verdict}")
    write(result, options.json)
    return 0 if is_reached(result) else 1


if __name__ == "__main__":
    sys.exit(main())
