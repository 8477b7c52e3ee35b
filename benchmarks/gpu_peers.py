"""Other projects' WKV-7 kernels, in bfloat16, for benchmarks.gpu: checkouts beside this project.

FOLDER may hold `RWKV-LM` (the official kernel), `wind_rwkv` and `flash-linear-attention`. None of
them is part of this project. What is not there, or does not build or run, is named in a note.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Peer:
    """call: y of six vectors, differentiable; the second is the decay in the peer's own unit,
    which `decay` makes of log_w."""

    call: Callable[..., Tensor]
    decay: Callable[[Tensor], Tensor]

    def from_log_w(self, r: Tensor, log_w: Tensor, *rest: Tensor) -> Tensor:
        """y of what our operator takes."""
        return self.call(r, self.decay(log_w), *rest)


def peers(folder: Path | None, notes: list[str]) -> dict[str, Peer]:
    """Those that ran once at a small shape."""
    found: dict[str, Peer] = {}
    for name, load in (
        ("RWKV-LM, official", _official),
        ("wind_rwkv, chunked", _wind),
        ("fla, chunk_rwkv7", _fla),
    ):
        try:
            peer = load(folder or Path())
            vectors = [-0.1 * torch.rand(1, 64, 1, 64, device="cuda") for _ in range(6)]
            few = [x.bfloat16().requires_grad_() for x in vectors]
            peer.from_log_w(*few).sum().backward()
            torch.cuda.synchronize()
        except Exception as error:  # whatever a stranger's build may raise: it is told, not hidden
            notes.append(f"no peer {name}: {type(error).__name__}: {error}"[:300])
        else:
            found[name] = peer
    return found


def _to_official(log_w: Tensor) -> Tensor:
    """The official kernel takes x with w = exp(-exp(x))."""
    return torch.log(-log_w.float()).bfloat16()


def _official(folder: Path) -> Peer:
    from torch.utils.cpp_extension import load

    sources = folder / "RWKV-LM" / "RWKV-v7" / "train_temp" / "cuda"
    flags = ["-O3", "--use_fast_math", "-D_C_=64", "-D_CHUNK_LEN_=16"]
    load(
        "wind_backstepping",
        [str(sources / "wkv7_cuda.cu"), str(sources / "wkv7_op.cpp")],
        extra_cuda_cflags=flags,
        is_python_module=False,
    )
    ops = torch.ops.wind_backstepping

    class Official(torch.autograd.Function):
        @staticmethod
        def forward(ctx, r, x, k, v, a, b):  # type: ignore[no-untyped-def]
            batch, steps, heads, size = r.shape
            y = torch.empty_like(v)
            states = r.new_empty(batch, heads, steps // 16, size, size, dtype=torch.float32)
            u = r.new_empty(batch, steps, heads, size, dtype=torch.float32)
            ops.forward(x, r, k, v, a, b, y, states, u)
            ctx.save_for_backward(x, r, k, v, a, b, states, u)
            return y

        @staticmethod
        def backward(ctx, d_y):  # type: ignore[no-untyped-def]
            *vectors, states, u = ctx.saved_tensors
            d_x, d_r, d_k, d_v, d_a, d_b = (torch.empty_like(x) for x in vectors)
            ops.backward(*vectors, d_y.contiguous(), states, u, d_x, d_r, d_k, d_v, d_a, d_b)
            return d_r, d_x, d_k, d_v, d_a, d_b

    return Peer(Official.apply, _to_official)


def _wind(folder: Path) -> Peer:
    sys.path.insert(0, str(folder / "wind_rwkv"))
    from wind_rwkv.rwkv7.chunked_cuda.chunked_cuda import attn_chunked_cuda, load_chunked_cuda

    load_chunked_cuda(64)

    return Peer(lambda *vectors: attn_chunked_cuda(*vectors)[0], _to_official)


def _fla(folder: Path) -> Peer:
    sys.path.insert(0, str(folder / "flash-linear-attention"))
    from fla.ops.rwkv7 import chunk_rwkv7

    def call(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
        y: Tensor = chunk_rwkv7(r=r, w=w, k=k, v=v, a=a, b=b, output_final_state=False)[0]
        return y

    return Peer(call, lambda log_w: log_w)
