"""All benchmarks, one after the other, each in a process of its own.

    python -m benchmarks [--quick] [--only NAME,...] [--out FOLDER]

Figures go to FOLDER/NAME.json. The machine should have nothing else to do. The full run takes
an hour and a half, of which the hand-over takes 40 minutes and the odd triggers 30; --quick takes a
quarter of an hour.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

# The arguments of each, and those that make it quick.
_BENCHMARKS: dict[str, tuple[list[str], list[str]]] = {
    "handover": (["handover"], ["--quick"]),
    "handover_model": (["handover", "--engine=auto", "--triggers=20", "--tempos=120"], ["--quick"]),
    "odd_triggers": (["odd_triggers"], ["--quick"]),
    "clock": (["clock", "--clocks=synthetic"], ["--quick", "--clocks=synthetic"]),
    "launch": (["launch"], ["--quick"]),
    "idle": (["idle"], ["--quick"]),
    "idle_model": (["idle", "--engine=auto"], ["--quick"]),
    "idle_connected": (["idle", "--connected"], ["--quick"]),
    "silence": (["silence"], ["--quick"]),
    "flood": (["flood"], ["--quick"]),
    "history": (["history"], ["--tokens=20000"]),
    "engine": (["engine", "--peers="], ["--quick"]),
    "takes": (["takes"], ["--rounds=8"]),
    "beginnings": (["beginnings"], ["--starts=4"]),
    "training": (["training"], ["--quick"]),
    "kernels": (["kernels"], ["--quick"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="shorter runs, rougher figures")
    parser.add_argument("--only", default=",".join(_BENCHMARKS), help="names, with commas between")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="folder of the figures")
    options = parser.parse_args()
    names = options.only.split(",")
    for name in names:
        if name not in _BENCHMARKS:
            parser.error(f"--only: got {name!r}, expected some of {', '.join(_BENCHMARKS)}")
    missed = []
    for name in names:
        (module, *arguments), quick = _BENCHMARKS[name]
        command = [sys.executable, "-m", f"{__package__}.{module}", *arguments]
        command += quick if options.quick else []
        print(f"\n=== {name}: {' '.join(command[1:])}", flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        code = subprocess.run(
            [*command, f"--json={options.out / name}.json"], check=False
        ).returncode
        if code:
            missed.append(name)
    print(f"\nfigures are in {options.out}; missed or failed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
