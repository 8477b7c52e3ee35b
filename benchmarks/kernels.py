"""How fast and how exact the recurrence's forms are on this processor, forward and backward.

    python -m benchmarks.kernels [--quick] [--batch 4] [--heads 8] [--steps 1024] [--rounds 7]
        [--json FILE]

`loop` is the recurrence as it is written, in float32 PyTorch with autograd, a step at a time;
`chunks` the PyTorch form in chunks; `kernel` ours in C++. They take turns; medians. `ratio_to_loop`
is the loop's time over a form's. Errors are relative root mean squares against float64, over a
quarter of the steps, y and the worst of the seven gradients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from rwkv_music_train.kernels import wkv7
from rwkv_music_train.kernels.build import absence
from rwkv_music_train.kernels.chunked import wkv7_chunked
from rwkv_music_train.kernels.reference import wkv7_reference
from torch import Tensor

from .figures import machine, table, write

STRONGEST = -0.6065306597  # log w where sigmoid(u) is 1
Form = Callable[..., tuple[Tensor, Tensor]]


def layer_inputs(
    batch: int, steps: int, heads: int, dtype: torch.dtype, device: str = "cpu", seed: int = 0
) -> list[Tensor]:
    """r, log_w, k, v, a, b as an RWKV-7 layer makes them, and an initial state in float32."""
    torch.manual_seed(seed)
    shape = (batch, steps, heads, 64)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, device=device)

    kk = torch.nn.functional.normalize(normal(*shape), dim=-1)
    log_w = STRONGEST * torch.sigmoid(4 * normal(*shape))
    vectors = [normal(*shape), log_w, normal(*shape), normal(*shape), -kk]
    vectors.append(kk * torch.sigmoid(normal(*shape)))
    values = [x.to(dtype) for x in vectors] + [normal(batch, heads, 64, 64)]
    return [x.requires_grad_() for x in values]


def gradients(form: Form, values: list[Tensor]) -> list[Tensor]:
    """y, the final state and the gradients of all inputs, for fixed gradients of both outputs."""
    y, end = form(*values)
    d_y, d_end = torch.ones_like(y), torch.full_like(end, 0.1)
    return [y, end, *torch.autograd.grad((y, end), values, (d_y, d_end))]


def loop(*values: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence as it is written, in float32."""
    r, log_w, k, v, a, b = (x.float() for x in values[:6])
    state, outputs = values[6], []
    # Apart at once: autograd would add up T gradients of the whole row where each step is sliced.
    steps = zip(*(x.unbind(1) for x in (r, log_w.exp(), k, v, a, b)), strict=True)
    for r_BHN, w_BHN, k_BHN, v_BHN, a_BHN, b_BHN in steps:
        u_BHN1 = state @ a_BHN[..., None]
        state = (
            state * w_BHN[..., None, :]
            + u_BHN1 * b_BHN[..., None, :]
            + v_BHN[..., None] * k_BHN[..., None, :]
        )
        outputs.append((state @ r_BHN[..., None]).squeeze(-1))
    return torch.stack(outputs, 1), state


def relative(got: Tensor, want: Tensor) -> float:
    return float((got.detach().double() - want.detach()).norm() / want.detach().norm())


def measure(options: argparse.Namespace) -> dict[str, Any]:
    shape = (options.batch, options.steps, options.heads)
    forms: list[tuple[str, str, Form]] = [
        ("loop", "float32", loop),
        ("chunks", "float32", wkv7_chunked),
        ("kernel", "float32", wkv7),
        ("kernel", "bfloat16", wkv7),
    ]
    if reason := absence("cpu"):
        raise SystemExit(f"benchmarks.kernels: no kernel to measure: {reason}")
    values = {
        dtype: layer_inputs(*shape, getattr(torch, dtype)) for dtype in ("float32", "bfloat16")
    }
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = {f[:2]: [] for f in forms}
    for _ in range(options.rounds + 1):
        for name, dtype, form in forms:
            start = perf_counter()
            y, end = form(*values[dtype])
            between = perf_counter()
            torch.autograd.grad((y, end), values[dtype], (torch.ones_like(y), end.detach()))
            seconds[name, dtype].append((between - start, perf_counter() - between))
    once = median(sum(times) for times in seconds["loop", "float32"][1:])
    rows = []
    for name, dtype, form in forms:
        counted = seconds[name, dtype][1:]  # without the first, which warms up
        total = median(sum(times) for times in counted)
        few = layer_inputs(1, max(options.steps // 4, 1), 2, getattr(torch, dtype), seed=1)
        exact = gradients(wkv7_reference, [x.detach().double().requires_grad_() for x in few])
        errors = [relative(g, w) for g, w in zip(gradients(form, few), exact, strict=True)]
        rows.append(
            {
                "form": name,
                "dtype": dtype,
                "forward_ms": median(times[0] for times in counted) * 1e3,
                "backward_ms": median(times[1] for times in counted) * 1e3,
                "ratio_to_loop": once / total,
                "error": errors[0],
                "gradient_error": max(errors[2:]),
            }
        )
    return {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "shape": {"batch": options.batch, "steps": options.steps, "heads": options.heads},
        "rows": rows,
    }


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="three rounds")
    made.add_argument("--batch", type=int, default=4)
    made.add_argument("--heads", type=int, default=8)
    made.add_argument("--steps", type=int, default=1024)
    made.add_argument("--rounds", type=int, default=7)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    if options.quick:
        options.rounds = 3
    result = measure(options)
    shown = [
        {key: f"{x:.1e}" if "error" in key else x for key, x in row.items()}
        for row in result["rows"]
    ]
    print(table(shown))
    write(result, options.json)


if __name__ == "__main__":
    main()
