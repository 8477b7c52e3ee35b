"""Calls of the kernels themselves, past torch: structures of pointers, outputs that are guarded."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rwkv_music_train.kernels.build import SOURCES
from torch import Tensor
from wkv_samples import NAMES

HERE = Path(__file__).parent
GUARD = 512  # numbers before and after every output that nobody may touch


class Shape(ctypes.Structure):
    _fields_ = [("batch", ctypes.c_int), ("steps", ctypes.c_int), ("heads", ctypes.c_int)]


def structure(*names: str) -> type[ctypes.Structure]:
    fields = [(name, ctypes.c_void_p) for name in names]
    return type("Call", (ctypes.Structure,), {"_fields_": fields})


# As in shape.h.
Forward = structure(*NAMES, "resets", "y", "final_state", "states", "u")
Backward = structure(
    *NAMES[:6], "resets", "states", "u", "d_y", "d_final_state", *(f"d_{name}" for name in NAMES)
)


def compiled(source: str, cache: pytest.Cache, *more: str) -> ctypes.CDLL:
    """One of this folder's C++ files, with the kernels' headers at hand; more flags or files. What
    was compiled is kept in pytest's cache until a source, a flag or the compiler is another."""
    compiler = os.environ.get("CXX") or shutil.which("c++")
    if not compiler:
        pytest.skip("no C++ compiler")
    always = ["-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Werror", "-Wno-unknown-pragmas"]
    command = [*compiler.split(), *always, *more, f"-I{SOURCES}", f"-I{HERE}", str(HERE / source)]
    version = subprocess.run([*compiler.split(), "--version"], capture_output=True, check=True)
    made_of = hashlib.sha256(version.stdout + repr(command).encode())
    for folder in (SOURCES, HERE):
        for file in sorted([*folder.glob("*.h"), *folder.glob("*.cpp")]):
            made_of.update(file.name.encode() + file.read_bytes())
    path = cache.mkdir("kernels") / f"{source}-{made_of.hexdigest()[:16]}.so"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", str(part)], check=True)
        part.replace(path)
    return ctypes.CDLL(str(path))


class Guarded:
    """An output full of NaN, between two bands that must keep what is in them."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        count = torch.Size(shape).numel()
        self.buffer = torch.full((count + 2 * GUARD,), float("nan"), dtype=dtype)
        self.buffer[:GUARD] = self.buffer[-GUARD:] = 17.0
        self.tensor = self.buffer[GUARD:-GUARD].view(shape)

    def checked(self) -> Tensor:
        assert (self.buffer[:GUARD] == 17).all()
        assert (self.buffer[-GUARD:] == 17).all()
        return self.tensor


def outputs_and_gradients(
    forward: Callable[..., None],
    backward: Callable[..., None],
    values: list[Tensor],
    resets: Tensor | None,
) -> dict[str, Tensor]:
    """What `with_gradients` gives, of two C functions of a shape and a structure of pointers."""
    *vectors, state = (x.detach().contiguous() for x in values)
    dtype = vectors[0].dtype
    batch, steps, heads, size = vectors[0].shape
    shape = Shape(batch, steps, heads)

    def pointers(kind: type[ctypes.Structure], tensors: list[Tensor | None]) -> ctypes.Structure:
        return kind(*(None if x is None else x.data_ptr() for x in tensors))

    y, end = Guarded(vectors[0].shape, dtype), Guarded(state.shape, torch.float32)
    states = Guarded((batch, heads, -(-steps // 64), size, size), torch.float32)
    u = Guarded(vectors[0].shape, torch.float32)
    outputs = [x.tensor for x in (y, end, states, u)]
    forward(shape, pointers(Forward, [*vectors, state, resets, *outputs]))
    g = torch.Generator().manual_seed(7)  # as `with_gradients` draws them
    d_y = torch.randn(y.tensor.shape, generator=g, dtype=torch.float64).to(torch.bfloat16)
    d_end = torch.randn(state.shape, generator=g, dtype=torch.float64).to(torch.bfloat16)
    d_y, d_end = d_y.to(dtype), d_end.float()
    gradients = [Guarded(x.shape, x.dtype) for x in (*vectors, state)]
    kept = [resets, states.checked(), u.checked(), d_y, d_end]
    backward(shape, pointers(Backward, [*vectors, *kept, *(x.tensor for x in gradients)]))
    results = {"y": y.checked(), "end": end.checked()}
    return results | {n: x.checked() for n, x in zip(NAMES, gradients, strict=True)}
