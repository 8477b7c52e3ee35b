"""Everything about training that needs a GPU: builds, checks and measures, into one JSON.

    python -m benchmarks.gpu [--quick] [--peers FOLDER] [--peer-python FILE] [--minutes 8]
        [--json FILE]

1. Compiles the kernels for this GPU. 2. Checks them against float64 on fresh random inputs: odd
lengths, outputs that were NaN, guard bands, resets, extreme decays, a CUDA graph, a side stream.
3. Measures forward and backward at the shapes of docs/kernels.md, for every height of a block,
beside PyTorch's form and beside other projects' kernels where their checkouts lie in FOLDER
(gpu_peers.py says which). 4. Measures what slicing saves, beside the heads of others that
--peer-python can import, and whole training steps of models of up to 3 billion weights (see
training.py). 5. Runs a small case under compute-sanitizer. What the minutes do not suffice for is
named under `notes`. Exit code 1: a check failed, or the sanitizer found something.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from rwkv_music_train.kernels import wkv7
from rwkv_music_train.kernels.build import absence
from rwkv_music_train.kernels.chunked import wkv7_chunked
from torch import Tensor

from .figures import machine, table, write
from .gpu_checks import checks, forward_and_backward
from .gpu_peers import Peer, peers
from .kernels import layer_inputs, relative
from .peers import interpreter
from .training import FULL, WayError, loop, slicing

SHAPES = [(b, h, t) for t in (512, 4096) for b in (1, 8) for h in (8, 16, 64)]
QUICK_SHAPES = [(1, 8, 512), (8, 64, 4096)]
FORWARD_BYTES, BACKWARD_BYTES = 22, 34  # a channel and token: see docs/kernels.md
Run = Callable[[], object]


def milliseconds(run: Run, budget_s: float = 0.5) -> float:
    """The median of single runs, after three that warm up."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    start = perf_counter()
    run()
    torch.cuda.synchronize()
    count = max(5, min(100, int(budget_s / (perf_counter() - start))))
    times = []
    for _ in range(count):
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return median(times)


def in_a_graph(run: Run) -> Run:
    """The same kernels without what Python adds."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def copy_gb_per_s() -> float:
    """What a copy of a gigabyte reaches, read and written."""
    from_ = torch.empty(1 << 28, dtype=torch.float32, device="cuda")
    to = torch.empty_like(from_)
    return 2 * from_.nbytes / milliseconds(lambda: to.copy_(from_)) / 1e6


def kernel_runs(values: list[Tensor], rows: int) -> tuple[Run, Run]:
    """Our forward, and our backward of what it kept."""
    vectors = [x.detach() for x in values[:6]]
    op, back = torch.ops.rwkv_music.wkv7, torch.ops.rwkv_music.wkv7_backward
    y, _, states, u = op(*vectors, None, None, True, rows)
    d_y = torch.randn_like(y)
    return (
        lambda: op(*vectors, None, None, True, rows),
        lambda: back(d_y, None, *vectors, None, states, u, rows),
    )


def measure_shape(
    shape: tuple[int, int, int], contenders: dict[str, Peer], gb_per_s: float
) -> list[dict[str, Any]]:
    batch, heads, steps = shape
    values = layer_inputs(batch, steps, heads, torch.bfloat16, "cuda")
    row: dict[str, Any] = {"batch": batch, "heads": heads, "steps": steps}
    rows = []
    tokens = batch * steps * heads * 64
    for height in (0, 32, 64):
        forward_ms, backward_ms = (milliseconds(in_a_graph(r)) for r in kernel_runs(values, height))
        total = forward_ms + backward_ms
        rows.append(
            row
            | {
                "kernel": f"ours, {height} rows" if height else "ours",
                "forward_ms": forward_ms,
                "backward_ms": backward_ms,
                "total_ms": total,
                "share_of_bandwidth": (FORWARD_BYTES + BACKWARD_BYTES)
                * tokens
                / 1e6
                / total
                / gb_per_s,
            }
        )
    d_y = torch.randn_like(values[0])
    for name, peer in contenders.items():
        vectors = [x.detach().requires_grad_() for x in values[:6]]
        vectors[1] = peer.decay(vectors[1]).detach().requires_grad_()

        def run(peer: Peer = peer, vectors: list[Tensor] = vectors) -> object:
            return torch.autograd.grad(peer.call(*vectors), vectors, d_y)

        rows.append(row | {"kernel": name, "total_ms": milliseconds(run)})
    return rows


def sanitizer(until: float, notes: list[str]) -> dict[str, str]:
    """What compute-sanitizer finds in a small case, until a time of perf_counter."""
    tool = shutil.which("compute-sanitizer")
    if not tool:
        notes.append("compute-sanitizer is not installed")
        return {}
    found = {}
    for kind in ("memcheck", "racecheck"):
        command = [tool, f"--tool={kind}", "--error-exitcode=9", sys.executable]
        command += ["-m", "benchmarks.gpu_checks", "--small"]
        left = until - perf_counter()
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=max(left, 1))
        except subprocess.TimeoutExpired:
            notes.append(f"no time for compute-sanitizer, {kind}")
        else:
            found[kind] = "clean" if done.returncode == 0 else (done.stdout + done.stderr)[-2000:]
    return found


def training(until: float, peer_python: str, notes: list[str]) -> dict[str, Any]:
    """What slicing saves here, beside other heads, and whole steps of large models: what a time of
    perf_counter leaves room for."""
    sliced = None
    if perf_counter() > until:
        notes.append("slicing: no time")
    else:
        try:
            sliced = slicing(FULL, 3, peer_python, notes, "cuda")
        except WayError as error:
            notes.append(f"slicing: {error}")
    return {"slicing": sliced, "loop": loop(notes, until)}


def run(options: argparse.Namespace) -> dict[str, Any]:
    started = perf_counter()
    notes: list[str] = []
    result: dict[str, Any] = {"machine": machine(), "torch": torch.__version__, "notes": notes}
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.gpu: there is no GPU that torch can use")
    result["gpu"] = torch.cuda.get_device_name()
    if reason := absence("cuda"):
        raise SystemExit(f"benchmarks.gpu: {reason}")
    result["build_s"] = perf_counter() - started
    result["checks"] = checks()
    result["failed"] = [c["case"] for c in result["checks"] if not c["passed"]]
    result["copy_gb_per_s"] = copy_gb_per_s()
    others = peers(options.peers, notes)
    ours = Peer(lambda *vectors: wkv7(*vectors)[0], lambda log_w: log_w)
    plain = Peer(lambda *vectors: wkv7_chunked(*vectors)[0], lambda log_w: log_w)
    contenders = {"ours, through autograd": ours, **others, "PyTorch, chunks": plain}
    rows = result["rows"] = []
    shapes = QUICK_SHAPES if options.quick else SHAPES
    for shape in shapes:
        if perf_counter() - started > 60 * options.minutes - 150:  # what the sanitizer may take
            notes.append(f"no time for {shape}")
            continue
        rows += measure_shape(shape, contenders, result["copy_gb_per_s"])
    result["errors"] = errors({"ours": ours, **others})
    result["training"] = training(started + 60 * options.minutes - 150, options.peer_python, notes)
    result["sanitizer"] = sanitizer(started + 60 * options.minutes, notes)
    result["took_s"] = perf_counter() - started
    return result


def errors(contenders: dict[str, Peer]) -> dict[str, dict[str, float]]:
    """Relative RMS against float64, of y and of the gradients that have the same unit in all."""
    values = layer_inputs(1, 512, 2, torch.bfloat16, "cuda")
    exact = forward_and_backward(None, [x.detach().double() for x in values[:6]], None)
    names = ("y", "r", "k", "v", "a", "b")
    made = {}
    for name, peer in contenders.items():
        got = forward_and_backward(peer.from_log_w, values[:6], None)
        made[name] = {n: relative(got[n], exact[n]) for n in names}
    return made


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="the smallest and the largest shape")
    made.add_argument("--peers", type=Path, help="a folder with other projects' checkouts")
    made.add_argument("--minutes", type=float, default=8.0)
    made.add_argument("--peer-python", default=interpreter(), help="one with the heads of others")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = run(options)
    print(table(result["checks"]))
    keys = ("batch", "heads", "steps", "kernel", "forward_ms", "backward_ms", "total_ms")
    print(table([{key: row.get(key, "") for key in keys} for row in result["rows"]]))
    print(table(result["training"]["loop"]))
    for note in result["notes"]:
        print(note)
    write(result, options.json)
    dirty = [found for found in result["sanitizer"].values() if found != "clean"]
    sys.exit(1 if result["failed"] or dirty else 0)


if __name__ == "__main__":
    main()
