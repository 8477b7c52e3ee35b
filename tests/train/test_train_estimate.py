"""What is said beforehand is what is there afterwards."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.batches import slice_of  # noqa: E402
from rwkv_music_train.config import read_config  # noqa: E402
from rwkv_music_train.estimate import (  # noqa: E402
    estimate,
    matrix_rate,
    step_operations,
    weighing,
)
from rwkv_music_train.loss import Inputs, Objective  # noqa: E402
from rwkv_music_train.model import Rwkv7  # noqa: E402

from rwkv_music.model.config import ModelConfig  # noqa: E402

CPU = torch.device("cpu")


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_a_pass_keeps_is_foretold(recompute, precision):
    """Counted on a model of another depth, other lengths and several rows."""
    config = read_config(
        None,
        (
            "run.batch=3",
            "data.windows.length=320",
            f"run.recompute={recompute}",
            f"run.precision={precision}",
        ),
    )
    shape = ModelConfig.sized(5, 128, 300)
    made = estimate(config, shape, CPU)
    model = Rwkv7(shape)
    tokens = torch.zeros(3, 320, dtype=torch.long)
    rows = np.arange(3 * 320)
    inputs = Inputs(tokens, Inputs.kept_on(slice_of(rows, 3, 320)), torch.zeros(960).long())
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with (
        weighing(own) as sizes,
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        loss = Objective(model)(inputs)[0]
        kept = sum(sizes.values())
    del loss
    if recompute:
        assert made.kept < kept / 2
    else:
        assert made.kept == pytest.approx(kept, rel=0.05)
    assert made.weights == 4 * sum(p.numel() for p in model.parameters())


def test_operations_are_six_a_weight_and_token():
    shape = ModelConfig.sized(12, 512, 432)
    inner = sum(p.numel() for name, p in Rwkv7(shape).named_parameters() if p.ndim == 2)
    inner -= 2 * 432 * 512  # the embedding, and the head where nothing counts
    got = step_operations(shape, 1000, counted_share=0.0)
    assert got == pytest.approx(6000 * inner, rel=0.15)  # and the recurrence's
    assert got > 6000 * inner


def test_a_rate_is_measured():
    assert matrix_rate(CPU, False, seconds=0.01) > 1e8
