"""The GPU's chunk kernels, run thread by thread on a processor, against float64.

The same headers that nvcc compiles are compiled with the C++ compiler; `cuda_on_cpu.h` plays the
block: threads in random order between barriers, matrix fragments as the PTX manual lays them out.
"""

from ctypes import c_uint32
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from kernel_calls import compiled, outputs_and_gradients  # noqa: E402
from wkv_samples import (  # noqa: E402
    BOUNDS,
    STRONGEST,
    assert_close,
    inputs,
    some_resets,
    truth,
)


@pytest.fixture(scope="module")
def library(request):
    return compiled("chunks_on_cpu.cpp", request.config.cache)


def run(library, values, resets, rows, seed=3):
    """rows: of the state, for a block. seed: of the order in which threads run."""
    name = str(values[0].dtype).removeprefix("torch.")
    forward = partial(getattr(library, f"forward_{name}"), rows, seed)
    backward = partial(getattr(library, f"backward_{name}"), rows, seed)
    return outputs_and_gradients(forward, backward, values, resets)


@pytest.mark.parametrize("rows", [32, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_two_rows_of_packed_windows(library, dtype, rows):
    values = inputs(2, 37, 1, dtype)
    resets = some_resets(2, 37)
    assert_close(run(library, values, resets, rows), truth(values, resets), BOUNDS[dtype])


@pytest.mark.parametrize("steps", [1, 16, 65, 83])
def test_lengths_without_resets(library, steps):
    values = inputs(1, steps, 1, torch.bfloat16, seed=steps)
    assert_close(run(library, values, None, 64), truth(values), BOUNDS[torch.bfloat16])


def test_two_heads_in_float32_over_a_kept_state(library):
    values = inputs(1, 70, 2, torch.float32)
    assert_close(run(library, values, None, 64), truth(values), BOUNDS[torch.float32])


@pytest.mark.parametrize("log_w", [STRONGEST, -1e-6])
def test_extreme_decays(library, log_w):
    values = inputs(1, 40, 1, torch.float32)
    values[1] = torch.full_like(values[1], log_w)
    assert_close(run(library, values, None, 32), truth(values), BOUNDS[torch.float32])


def test_no_barrier_is_missing(library):
    """Another order of the threads between barriers, the same bits."""
    values = inputs(1, 20, 1, torch.bfloat16)
    first, *others = (run(library, values, None, 64, seed) for seed in (1, 2, 3))
    for other in others:
        for name, x in first.items():
            assert torch.equal(x, other[name]), name


def seen_of(library, x):
    """float32 numbers as the tensor cores see them."""
    library.seen_of.argtypes, library.seen_of.restype = [c_uint32], c_uint32
    bits = [library.seen_of(b) for b in x.view(torch.int32).tolist()]
    return torch.tensor(bits, dtype=torch.int64).to(torch.int32).view(torch.float32)


def test_tensor_cores_see_numbers_without_bias(library):
    """About as near as rounding, and exactly what they can hold."""
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    rounded = ((x.view(torch.int32) + 0x1000) & -0x2000).view(torch.float32)
    error, least = ((seen - x) / x for seen in (seen_of(library, x), rounded))
    assert error.norm() < 1.1 * least.norm()
    assert error.mean().abs() < 2**-17
    exact = torch.arange(-3000, 3000).to(torch.bfloat16).float()
    assert torch.equal(seen_of(library, exact), exact)


@pytest.mark.parametrize("bits", [0x7FFFFFFF, -1, 0x7FC00000])
def test_tensor_cores_see_what_is_not_a_number(library, bits):
    """The first is what a GPU's arithmetic makes; so is infinity seen."""
    nan = torch.tensor([bits], dtype=torch.int32).view(torch.float32)
    assert nan.isnan().all()
    assert seen_of(library, nan).isnan().all()
    assert seen_of(library, torch.tensor([-torch.inf])) == -torch.inf


def test_what_is_not_a_number_comes_out_again(library):
    values = [x.detach() for x in inputs(2, 40, 1, torch.bfloat16)]
    values[3][0, 20, 0, 3] = torch.nan  # v: row 3 of the state
    got = run(library, values, None, 64)
    assert got["y"][0, 20:, 0, 3].isnan().all()
    assert got["end"][0, 0, 3].isnan().all()
    assert got["y"][0, :16].isfinite().all()  # chunks before
    assert got["y"][1].isfinite().all()
    assert got["log_w"][0, 21:].isnan().all()
