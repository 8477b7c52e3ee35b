"""What the tests of the kernels are given: inputs as an RWKV-7 layer makes them, and the truth."""

from __future__ import annotations

import torch
from rwkv_music_train.kernels.reference import wkv7_reference
from torch import Tensor

STRONGEST = -0.6065306597  # log w where sigmoid(u) is 1
NAMES = ("r", "log_w", "k", "v", "a", "b", "initial_state")
BOUNDS = {  # relative RMS errors that are allowed, against float64
    torch.float32: {"y": 2e-6, "end": 2e-6} | dict.fromkeys(NAMES, 2e-5),
    torch.bfloat16: {"y": 3e-3, "end": 3e-3} | dict.fromkeys(NAMES, 5e-3),
}


def inputs(
    batch: int, steps: int, heads: int, dtype: torch.dtype = torch.float64, seed: int = 0
) -> list[Tensor]:
    """r, log_w, k, v, a, b in `dtype`, and an initial state in float32 (float64 with float64).

    The float64 numbers are those of the narrower dtype, so that only the arithmetic differs."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    shape = (batch, steps, heads, 64)
    kk = torch.nn.functional.normalize(normal(*shape), dim=-1)
    rate = torch.sigmoid(normal(*shape))
    log_w = STRONGEST * torch.sigmoid(4 * normal(*shape))
    made = [normal(*shape), log_w, normal(*shape), normal(*shape), -kk, kk * rate]
    state = normal(batch, heads, 64, 64)
    kept = [x.to(dtype) for x in made]
    kept.append(state.to(torch.float64 if dtype == torch.float64 else torch.float32))
    return [x.requires_grad_() for x in kept]


def some_resets(batch: int, steps: int, seed: int = 0) -> Tensor:
    """About one in nine steps, differently in every row; the first row's first step is one."""
    g = torch.Generator().manual_seed(seed)
    resets = torch.rand(batch, steps, generator=g) < 1 / 9
    resets[0, 0] = True
    return resets


def with_gradients(function, values, resets=None, seed=7):
    """Outputs and gradients for random gradients of y and of the final state: a dict of tensors."""
    values = [x.detach().clone().requires_grad_() for x in values]
    y, end = function(*values, resets)
    g = torch.Generator().manual_seed(seed)
    d_y = torch.randn(y.shape, generator=g, dtype=torch.float64).to(torch.bfloat16)
    d_end = torch.randn(end.shape, generator=g, dtype=torch.float64).to(torch.bfloat16)
    gradients = torch.autograd.grad((y, end), values, (d_y.to(y.dtype), d_end.to(end.dtype)))
    return {"y": y.detach(), "end": end.detach()} | dict(zip(NAMES, gradients, strict=True))


def truth(values, resets=None, seed=7):
    return with_gradients(wkv7_reference, [x.double() for x in values], resets, seed)


def relative(got: Tensor, want: Tensor) -> float:
    """Relative root mean square error; absolute where nothing but zero is wanted."""
    return ((got.double() - want).norm() / (want.norm() or 1.0)).item()


def assert_close(got: dict[str, Tensor], want: dict[str, Tensor], bounds: dict[str, float]) -> None:
    for name, bound in bounds.items():
        assert torch.isfinite(got[name]).all(), name
        assert relative(got[name], want[name]) < bound, name
