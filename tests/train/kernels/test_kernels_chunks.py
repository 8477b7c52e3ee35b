"""The GPU's chunk kernels, run thread by thread on a processor, against float64.

The same headers that nvcc compiles are compiled with the C++ compiler; `cuda_on_cpu.h` plays the
block: threads in random order between barriers, matrix fragments as the PTX manual lays them out.
"""

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
def library(tmp_path_factory):
    return compiled("chunks_on_cpu.cpp", tmp_path_factory.mktemp("chunks"))


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
