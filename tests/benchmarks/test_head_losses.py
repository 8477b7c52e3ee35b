"""What slicing is measured with: all ways have one loss and one gradient, and bytes are counted."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from benchmarks.peers.head_losses import Step, peak_bytes, way  # noqa: E402

SHAPE = {"batch": 3, "length": 32, "width": 16, "vocabulary": 4000, "counted": 7}


def run(name):
    step = Step("cpu", **SHAPE)
    loss = step.run(way(name, step))
    return loss, step.x_PC.grad, step.weight_VC.grad


def test_positions_that_count_are_shared_by_the_rows_and_at_their_ends():
    step = Step("cpu", **SHAPE)
    assert step.rows_R.tolist() == [29, 30, 31, 62, 63, 94, 95]
    assert (step.masked_P() >= 0).sum() == 7


@pytest.mark.parametrize("name", ["sliced", "parts", "exact"])
def test_every_way_has_the_loss_and_the_gradients_of_all_logits(name, monkeypatch):
    import rwkv_music_train.loss as module

    monkeypatch.setitem(module.WHOLE_BYTES, "cpu", 0)
    monkeypatch.setitem(module.PART_BYTES, "cpu", 4 * 7 * 600)
    for got, want in zip(run(name), run("full"), strict=True):
        torch.testing.assert_close(torch.as_tensor(got), torch.as_tensor(want))


def test_the_peak_is_what_was_held_at_once():
    held = []

    def call():
        torch.empty(1000)  # gone at once
        held.append(torch.empty(3000))
        held.append(torch.empty(500))
        torch.empty(2000)

    assert peak_bytes(call, "cpu", set) == 4 * (3000 + 500 + 2000)
    again = []
    aside = peak_bytes(
        lambda: again.append(torch.empty(3000)), "cpu", lambda: {again[0].data_ptr()}
    )
    assert aside == 0
