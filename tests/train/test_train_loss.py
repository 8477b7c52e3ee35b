"""The head in parts of the vocabulary has the loss and the gradients of the head in one."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.loss import COLUMNS, head_loss  # noqa: E402


def made(rows=37, width=48, vocabulary=1000, seed=0):
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=g).requires_grad_()
    weight = (torch.randn(vocabulary, width, generator=g) * 0.3).requires_grad_()
    return hidden, weight, torch.randint(0, vocabulary, (rows,), generator=g)


@pytest.mark.parametrize("columns", [1, 7, 512, 999])
def test_parts_equal_the_whole(columns):
    results = []
    for size in (columns, 1000):
        hidden, weight, targets = made()
        loss = head_loss(hidden, weight, targets, size)
        (loss * 0.25).backward()
        results.append((loss.detach(), hidden.grad, weight.grad))
    for part, whole in zip(*results, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-5)


def test_logits_that_overflow_an_exponential_are_no_trouble():
    hidden, weight, targets = made()
    with torch.no_grad():
        hidden *= 1000
    loss = head_loss(hidden, weight, targets, 100)
    loss.backward()
    whole = head_loss(hidden.detach(), weight.detach(), targets, 1000)
    torch.testing.assert_close(loss.detach(), whole, rtol=1e-5, atol=1e-3)
    assert torch.isfinite(hidden.grad).all()


def test_products_in_bfloat16_stay_near_float32():
    hidden, weight, targets = made()
    exact = head_loss(hidden, weight, targets, 1000)
    with torch.autocast("cpu", torch.bfloat16):
        loss = head_loss(hidden, weight, targets, 100)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    assert weight.grad.dtype == torch.float32


def test_a_large_head_is_never_whole_in_memory(monkeypatch):
    """No tensor as large as all logits is made, in neither pass."""
    import rwkv_music_train.loss as module

    monkeypatch.setitem(module.WHOLE_BYTES, "cpu", 0)
    monkeypatch.setitem(module.PART_BYTES, "cpu", 0)
    hidden, weight, targets = made(rows=64, width=8, vocabulary=20_000)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), named=None):
            nonlocal largest
            result = function(*arguments, **(named or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    with Watch():
        head_loss(hidden, weight, targets).backward()
    assert largest < 64 * 20_000 / 4


def test_parts_are_rounded_as_one_product_is():
    """Largest difference over the largest gradient; sums that went another way differ by 1e-6."""
    results = []
    for size in (5 * COLUMNS, 65_536):
        hidden, weight, targets = made(rows=40, width=64, vocabulary=65_536)
        head_loss(hidden, weight, targets, size).backward()
        results.append((hidden.grad, weight.grad))
    for part, whole in zip(*results, strict=True):
        assert (part - whole).abs().max() < 5e-7 * whole.abs().max()


def test_no_rows_are_no_loss():
    hidden, weight, targets = made(rows=0)
    for columns in (100, 1000):
        assert head_loss(hidden, weight, targets, columns).item() == 0
