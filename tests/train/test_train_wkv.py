"""The chunked recurrence against the step-by-step one, in float64, gradients included."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.wkv import wkv7, wkv7_chunked, wkv7_naive  # noqa: E402


def inputs(batch, steps, heads, dtype=torch.float64, seed=0):
    """r, log_w, k, v, a, b, state as an RWKV-7 layer makes them."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    shape = (batch, steps, heads, 64)
    kk = torch.nn.functional.normalize(normal(*shape), dim=-1)
    rate = torch.sigmoid(normal(*shape))
    log_w = -0.6065306597 * torch.sigmoid(4 * normal(*shape))
    made = [normal(*shape), log_w, normal(*shape), normal(*shape), -kk, kk * rate]
    made.append(normal(batch, heads, 64, 64))
    return [x.to(dtype).requires_grad_() for x in made]


def relative(got, want):
    return ((got.double() - want).norm() / want.norm()).item()


@pytest.mark.parametrize("steps", [1, 15, 16, 33, 64])
def test_chunks_equal_steps_with_gradients(steps):
    ours, truth = inputs(2, steps, 2), inputs(2, steps, 2)
    results = []
    for function, values in ((wkv7, ours), (wkv7_naive, truth)):
        y, end = function(*values)
        (y.sin().sum() + (end * end).sum()).backward()
        results.append((y, end))
    for got, want in zip(results[0], results[1], strict=True):
        assert relative(got, want) < 1e-12
    for got, want in zip(ours, truth, strict=True):
        assert relative(got.grad, want.grad) < 1e-11


def test_float32_chunks_stay_close_to_float64_steps():
    got, _ = wkv7_chunked(*inputs(1, 128, 2, torch.float32))
    want, _ = wkv7_naive(*inputs(1, 128, 2))
    assert relative(got, want) < 1e-5


def test_strongest_decay_stays_finite():
    values = inputs(1, 64, 1, torch.float32)
    values[1] = torch.full_like(values[1], -0.6065306597)
    want, _ = wkv7_naive(*(x.double() for x in values))
    got, end = wkv7_chunked(*values)
    assert torch.isfinite(end).all()
    assert relative(got, want.detach()) < 1e-4


def test_two_halves_equal_the_whole():
    *values, state = inputs(1, 40, 1)
    whole, end = wkv7(*values, state)
    first, middle = wkv7(*(x[:, :19] for x in values), state)
    second, last = wkv7(*(x[:, 19:] for x in values), middle)
    assert relative(torch.cat([first, second], 1), whole) < 1e-12
    assert relative(last, end) < 1e-12
