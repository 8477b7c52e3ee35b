"""The GPU's kernels against float64 on fresh random inputs; `--small` is what the sanitizer runs.

Every output lies between guard bands in memory that was NaN before; nothing outside may change, and
no NaN may stay.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import torch
from rwkv_music_train.kernels import wkv7
from rwkv_music_train.kernels.reference import wkv7_reference
from torch import Tensor

from .kernels import STRONGEST, layer_inputs, relative

NAMES = ("r", "log_w", "k", "v", "a", "b", "initial_state")
BOUNDS = {torch.float32: (2e-6, 2e-5), torch.bfloat16: (3e-3, 5e-3)}  # outputs, gradients


def forward_and_backward(
    form: Any, values: list[Tensor], resets: Tensor | None, rows: int = 0
) -> dict[str, Tensor]:
    """Outputs and gradients. form: None for float64, "ours", or a function to y of six vectors."""
    values = [x.detach().clone().requires_grad_() for x in values]
    generator = torch.Generator(values[0].device).manual_seed(7)
    if form is None:
        y, end = wkv7_reference(*values[:6], *values[6:] or [None], resets)
    elif form == "ours" and rows:
        y, end, _, _ = torch.ops.rwkv_music.wkv7(*values, resets, True, rows)
    elif form == "ours":
        y, end = wkv7(*values, resets)
    else:
        y, end = form(*values[:6]), None
    d_y = torch.randn(y.shape, generator=generator, device=y.device).bfloat16().to(y.dtype)
    gradients = torch.autograd.grad(y, values[:6], d_y, retain_graph=end is not None)
    results = {"y": y.detach()} | dict(zip(NAMES, gradients, strict=False))
    if len(values) == 7 and end is not None:
        d_end = torch.randn(end.shape, generator=generator, device=y.device).to(end.dtype)
        both = torch.autograd.grad((y, end), values, (d_y, d_end))
        results |= {"end": end.detach()}
        results |= {f"{n}, both": g for n, g in zip(NAMES, both, strict=True)}
    return results


def poison(megabytes: int = 64) -> None:
    """What the allocator hands out next was NaN."""
    torch.full((megabytes << 18,), float("nan"), device="cuda")


def guarded(values: list[Tensor], rows: int) -> bool:
    """Whether the ops leave what lies around their outputs alone: neighbours in one allocation."""
    vectors = [x.detach() for x in values[:6]]
    around = [torch.full((1 << 16,), 17.0, device="cuda") for _ in range(40)]
    holes = around[1::2]
    del around[1::2], holes  # every second block is free for the op's outputs
    y, _, states, u = torch.ops.rwkv_music.wkv7(*vectors, None, None, True, rows)
    torch.ops.rwkv_music.wkv7_backward(y, None, *vectors, None, states, u, rows)
    torch.cuda.synchronize()
    return all(bool((x == 17.0).all()) for x in around)


def check(
    case: str,
    dtype: torch.dtype,
    shape: tuple[int, int, int],
    rows: int,
    seed: int,
    resets: bool = False,
    log_w: float | None = None,
) -> dict[str, Any]:
    batch, steps, heads = shape
    values = layer_inputs(batch, steps, heads, dtype, "cuda", seed)
    if log_w is not None:
        values[1] = torch.full_like(values[1], log_w)
    where = torch.rand(batch, steps, device="cuda") < 1 / 9 if resets else None
    exact = forward_and_backward(None, [x.double() for x in values], where)
    poison()
    got = forward_and_backward("ours", values, where, rows)
    outputs, gradients = BOUNDS[dtype]
    errors = {name: relative(got[name], exact[name]) for name in got}
    passed = all(e < (outputs if n in ("y", "end") else gradients) for n, e in errors.items())
    passed = passed and guarded(values, rows)
    worst = max(errors, key=lambda n: errors[n] if errors[n] == errors[n] else float("inf"))
    return {
        "case": f"{case}, {str(dtype).removeprefix('torch.')}, {shape}, {rows or 'any'} rows",
        "error_y": errors["y"],
        "worst": worst,
        "error_worst": errors[worst],
        "passed": passed,
    }


def check_graph_and_side_stream() -> list[dict[str, Any]]:
    """The same bits in a captured graph and on another stream."""
    values = [x.detach() for x in layer_inputs(2, 100, 3, torch.bfloat16, "cuda")]
    want, end = wkv7(*values)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        on_side, _ = wkv7(*values)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured, _ = wkv7(*values)
    captured.fill_(float("nan"))
    graph.replay()
    torch.cuda.synchronize()
    return [
        {"case": name, "error_y": 0.0, "worst": "y", "error_worst": 0.0, "passed": bool(same)}
        for name, same in (
            ("side stream", torch.equal(on_side, want)),
            ("CUDA graph", torch.equal(captured, want) and bool(torch.isfinite(end).all())),
        )
    ]


def checks(small: bool = False) -> list[dict[str, Any]]:
    seed = int(torch.randint(1 << 30, ()))  # other inputs every time
    if small:
        dtypes = (torch.bfloat16, torch.float32)
        return [check("small", d, (2, 37, 2), r, seed, True) for d in dtypes for r in (32, 64)]
    made = []
    for dtype in (torch.float32, torch.bfloat16):
        for rows in (0, 32, 64):
            made.append(check("odd length", dtype, (2, 131, 3), rows, seed))
            made.append(check("resets", dtype, (3, 83, 2), rows, seed, resets=True))
        made.append(check("one step", dtype, (2, 1, 2), 0, seed))
        made.append(check("long", dtype, (1, 1025, 2), 0, seed))
        made.append(check("strongest decay", dtype, (1, 100, 2), 0, seed, log_w=STRONGEST))
        made.append(check("no decay", dtype, (1, 100, 2), 0, seed, log_w=-1e-6))
    return made + check_graph_and_side_stream()


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--small", action="store_true")
    results = checks(made.parse_args().small)
    for result in results:
        print(result)
    sys.exit(0 if all(result["passed"] for result in results) else 1)


if __name__ == "__main__":
    main()
