"""What all benchmarks say in the same way: percentiles, the machine, a table, a file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rwkv_music.atomic_file import replacing


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least `percent` of them do not exceed. NaN for none."""
    if not values:
        return float("nan")
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(int(rank) - 1, 0)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """How values lie, to three decimals."""
    named = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: round(percentile(values, percent), 3) for name, percent in named.items()}


def histogram(values: Sequence[float], edges: Sequence[float], width: int = 50) -> str:
    """How many values lie from each edge to the next, a line each, and beyond the first and last
    where there are any. The longest bar is `width` characters."""
    bounds = [float("-inf"), *edges, float("inf")]
    counts = [sum(low <= v < high for v in values) for low, high in pairwise(bounds)]
    longest = max(counts, default=0) or 1
    names = [f"below {edges[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(edges))]
    names.append(f"{edges[-1]:g} and more")
    rows = [
        (name, number)
        for i, (name, number) in enumerate(zip(names, counts, strict=True))
        if number or 0 < i < len(counts) - 1
    ]
    room = max(len(name) for name, _ in rows)
    return "\n".join(
        f"{name:>{room}} {number:>6} {'#' * -(-number * width // longest)}" for name, number in rows
    )


def machine() -> dict[str, Any]:
    """Where and on what a figure was measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2),
    }


def begun(made: dict[str, Any], empty: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """A result to go on with: what the file has, or `empty`. `made` says in which way it is made,
    `machines` on what each part of it was. Raises ValueError if it was made in another way."""
    if path is None or not path.exists():
        return {**made, "machines": [machine()], **empty}
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(before.get(key) != value for key, value in made.items()):
        raise ValueError(f"{path} was made in another way: expected {made}")
    before["machines"].append(machine())
    return before


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of the same keys, aligned; `key_ms` is shown as `key ms`."""
    if not rows:
        return "(no rows)"
    heads = [key.replace("_", " ") for key in rows[0]]
    cells = [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = [heads, *cells]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in lines
    )


def write(result: dict[str, Any], path: Path | None) -> None:
    """Keep a result as JSON."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    """The commit, with a + when files have been changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        name = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        clean = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode == 0
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name if clean else name + "+"
