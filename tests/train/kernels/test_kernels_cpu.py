"""This processor's C++ kernels against float64: every T, resets, guard bands, torch's rules."""

import os
import platform

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from kernel_calls import compiled, outputs_and_gradients  # noqa: E402
from rwkv_music_train.kernels import wkv7  # noqa: E402
from rwkv_music_train.kernels.build import SOURCES, absence  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402
from wkv_samples import (  # noqa: E402
    BOUNDS,
    NAMES,
    STRONGEST,
    assert_close,
    inputs,
    relative,
    some_resets,
    truth,
    with_gradients,
)

pytestmark = pytest.mark.usefixtures("kernels")
FLOAT32, BFLOAT16 = BOUNDS[torch.float32], BOUNDS[torch.bfloat16]


@pytest.fixture(scope="module")
def kernels():
    reason = absence("cpu")
    if reason and os.environ.get("RWKV_MUSIC_REAL") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 63, 64, 65, 200])
def test_float32_is_close_to_float64(steps, with_resets):
    values = inputs(2, steps, 3, torch.float32, seed=steps)
    resets = some_resets(2, steps) if with_resets else None
    assert_close(with_gradients(wkv7, values, resets), truth(values, resets), FLOAT32)


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("steps", [1, 130])
def test_bfloat16_is_close_to_float64(steps, with_resets):
    values = inputs(2, steps, 2, torch.bfloat16)
    resets = some_resets(2, steps) if with_resets else None
    got = with_gradients(wkv7, values, resets)
    assert got["y"].dtype == got["r"].dtype == torch.bfloat16
    assert got["end"].dtype == got["initial_state"].dtype == torch.float32
    assert_close(got, truth(values, resets), BFLOAT16)


@pytest.mark.parametrize("log_w", [STRONGEST, -1e-6, 0.0, -30.0])
def test_extreme_decays(log_w):
    values = inputs(1, 100, 1, torch.float32)
    values[1] = torch.full_like(values[1], log_w)
    assert_close(with_gradients(wkv7, values), truth(values), FLOAT32)


def test_without_a_state_and_with_gradients_of_one_output_alone():
    *values, _ = inputs(1, 70, 1, torch.float32)
    *exact, _ = inputs(1, 70, 1)
    exact = [x.detach().float().double().requires_grad_() for x in exact]
    for output in (0, 1):
        got = torch.autograd.grad(wkv7(*values)[output].square().sum(), values, allow_unused=True)
        want = torch.autograd.grad(wkv7(*exact)[output].square().sum(), exact, allow_unused=True)
        for name, x, y in zip(NAMES, got, want, strict=False):
            if output == 1 and name == "r":
                assert x.abs().max() == 0
            else:
                assert relative(x, y) < 2e-5, name


def test_the_same_call_gives_the_same_bits_whatever_the_threads():
    values = inputs(2, 90, 3, torch.bfloat16)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            results.append(with_gradients(wkv7, values))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        for name, x in results[0].items():
            assert torch.equal(x, other[name]), name


def test_inputs_that_are_not_contiguous():
    values = inputs(2, 20, 3, torch.float32)
    strided = [x.detach().transpose(1, 2).contiguous().transpose(1, 2) for x in values[:6]]
    assert not strided[0].is_contiguous()
    got = with_gradients(lambda *x: wkv7(*x), [*strided, values[6]])
    assert_close(got, truth(values), FLOAT32)


def test_nothing_is_kept_where_no_gradient_is_asked_for():
    values = [x.detach() for x in inputs(1, 20, 1, torch.float32)]
    y, end, states, u = torch.ops.rwkv_music.wkv7(*values, None, False)
    assert states.numel() == u.numel() == 0
    kept = torch.ops.rwkv_music.wkv7(*values, None, True)
    assert torch.equal(kept[0], y)
    assert torch.equal(kept[1], end)


def test_what_is_kept_is_at_most_eight_bytes_a_channel():
    batch, steps, heads = 2, 1024, 2
    values = [x.detach() for x in inputs(batch, steps, heads, torch.bfloat16)]
    *_, states, u = torch.ops.rwkv_music.wkv7(*values, None, True)
    assert states.nbytes + u.nbytes <= 8 * batch * steps * heads * 64


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(dtype):
    *vectors, state = inputs(1, 19, 2, dtype)
    resets = some_resets(1, 19)
    op = torch.ops.rwkv_music.wkv7.default
    for arguments in ((*vectors, state, resets, True), (*vectors, None, None, True)):
        torch.library.opcheck(op, arguments)
    detached = [x.detach() for x in vectors]
    torch.library.opcheck(op, (*detached, None, resets, False))
    _, end, states, u = op(*detached, None, resets, True)
    backward = torch.ops.rwkv_music.wkv7_backward.default
    torch.library.opcheck(backward, (vectors[0].detach(), end, *detached, resets, states, u))
    torch.library.opcheck(backward, (None, end, *detached, None, states, u))


def test_under_compile():
    def layer(*x):
        y, end = wkv7(*(v * 1.0 for v in x))
        return y.tanh(), end

    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    values = inputs(1, 33, 2, torch.float32)
    got = with_gradients(lambda *x: compiled(*x[:7]), values)
    want = with_gradients(lambda *x: layer(*x[:7]), values)
    for name in want:
        torch.testing.assert_close(got[name], want[name])


def test_under_activation_checkpointing():
    values = inputs(1, 33, 2, torch.float32)
    got = with_gradients(
        lambda *x: checkpoint(lambda *y: wkv7(*y), *x[:7], use_reentrant=False), values
    )
    want = with_gradients(wkv7, values)
    for name in want:
        assert torch.equal(got[name], want[name]), name


def test_bad_arguments_to_the_op_itself_are_refused():
    *vectors, _ = (x.detach() for x in inputs(1, 5, 1, torch.float32))
    op = torch.ops.rwkv_music.wkv7
    with pytest.raises(RuntimeError, match="k has the wrong dtype or shape"):
        op(*vectors[:2], vectors[2][:, :4], *vectors[3:], None, None, False)
    with pytest.raises(RuntimeError, match="expected float32 or bfloat16"):
        op(*(x.half() for x in vectors), None, None, False)
    with pytest.raises(RuntimeError, match="resets has the wrong dtype or shape"):
        op(*vectors, None, torch.zeros(1, 4, dtype=torch.bool), False)


@pytest.mark.parametrize(
    ("flags", "lanes"),
    [(("-mavx2", "-mfma"), 8), (("-msse4.1",), 4), (("-mavx2", "-mfma", "-DWKV7_PLAIN_LANES"), 8)],
)
def test_other_instruction_sets(request, flags, lanes):
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("these are instruction sets of x86")
    files = [str(SOURCES / name) for name in ("forward_cpu.cpp", "backward_cpu.cpp")]
    library = compiled("heads_on_cpu.cpp", request.config.cache, *flags, *files)
    assert library.lanes() == lanes
    resets = some_resets(2, 70)
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        forward, backward = (getattr(library, f"{way}_{name}") for way in ("forward", "backward"))
        values = inputs(2, 70, 2, dtype)
        got = outputs_and_gradients(forward, backward, values, resets)
        assert_close(got, truth(values, resets), BOUNDS[dtype])
