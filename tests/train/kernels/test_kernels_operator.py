"""The operator's contract, in plain PyTorch and in float64: every T, resets, two halves, errors."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.kernels import wkv7  # noqa: E402
from rwkv_music_train.kernels.chunked import wkv7_chunked  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from wkv_samples import (  # noqa: E402
    STRONGEST,
    inputs,
    relative,
    some_resets,
    truth,
    with_gradients,
)


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("steps", [1, 15, 16, 33, 64])
def test_chunks_equal_steps_with_gradients(steps, with_resets):
    values = inputs(2, steps, 2)
    resets = some_resets(2, steps) if with_resets else None
    got, want = with_gradients(wkv7_chunked, values, resets), truth(values, resets)
    for name in want:
        # where only the row without a reset at its start depends on the initial state
        assert relative(got[name], want[name]) < 1e-11, name


def test_float32_chunks_stay_close_to_float64_steps():
    values = inputs(1, 128, 2, torch.float32)
    got, want = with_gradients(wkv7_chunked, values), truth(values)
    for name in want:
        assert relative(got[name], want[name]) < 1e-5, name


def test_strongest_decay_stays_finite():
    values = inputs(1, 64, 1, torch.float32)
    values[1] = torch.full_like(values[1], STRONGEST)
    got, want = with_gradients(wkv7_chunked, values), truth(values)
    for name in want:
        assert torch.isfinite(got[name]).all(), name
        assert relative(got[name], want[name]) < 1e-4, name


def test_two_halves_equal_the_whole():
    *values, state = inputs(1, 40, 1)
    whole, end = wkv7(*values, state)
    first, middle = wkv7(*(x[:, :19] for x in values), state)
    second, last = wkv7(*(x[:, 19:] for x in values), middle)
    assert relative(torch.cat([first, second], 1), whole) < 1e-12
    assert relative(last, end) < 1e-12


def test_windows_packed_into_a_row_equal_windows_of_their_own():
    *values, state = inputs(1, 50, 2)
    resets = torch.zeros(1, 50, dtype=torch.bool)
    resets[0, [13, 32]] = True
    packed, end = wkv7(*values, state, resets)
    alone = [
        wkv7(*(x[:, first:stop] for x in values), state if first == 0 else None)
        for first, stop in ((0, 13), (13, 32), (32, 50))
    ]
    assert relative(torch.cat([y for y, _ in alone], 1), packed) < 1e-12
    assert relative(alone[-1][1], end) < 1e-12


def test_unlike_dtypes_are_taken_to_the_widest():
    r, *rest, state = inputs(1, 5, 1, torch.float32)
    y, end = wkv7(r.to(torch.bfloat16), *rest, state)
    assert y.dtype == end.dtype == torch.float32


def test_what_does_not_fit_is_refused():
    r, log_w, k, v, a, b, state = inputs(2, 5, 1)
    with pytest.raises(ValueError, match=r"r has shape .*, expected \[B, T, H, 64\]"):
        wkv7(*(x[..., :32] for x in (r, log_w, k, v, a, b)))
    with pytest.raises(ValueError, match=r"k is .*, expected floating point numbers"):
        wkv7(r, log_w, k[:1], v, a, b)
    with pytest.raises(ValueError, match="the initial state is"):
        wkv7(r, log_w, k, v, a, b, state[:1])
    with pytest.raises(ValueError, match="resets are"):
        wkv7(r, log_w, k, v, a, b, None, torch.zeros(2, 5))


@pytest.mark.parametrize(("batch", "heads"), [(65_536, 1), (1, 65_536)])
def test_a_grid_that_no_gpu_has_is_refused(batch, heads):
    with FakeTensorMode():
        values = [torch.empty(batch, 1, heads, 64, device="cuda") for _ in range(6)]
        with pytest.raises(ValueError, match=f"{batch} rows of {heads} heads, expected at most"):
            wkv7(*values)
