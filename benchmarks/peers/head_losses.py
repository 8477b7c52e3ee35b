"""One way from hidden states to loss and gradients, in a process of its own: memory, time, numbers.

    python -m benchmarks.peers.head_losses WAY DEVICE BATCH LENGTH WIDTH VOCABULARY COUNTED ROUNDS
        FOLDER

WAY: full (all logits, the others masked), sliced (only the rows that count), parts (those, a part
of the vocabulary at a time: ours), cce (Apple's cut-cross-entropy, on a processor its torch_compile
form, on the rows that count), cce_masked (the same, told which rows to ignore), liger and
liger_masked (Liger's fused head, on a GPU), exact (sliced, in float64: the truth). Prints a line of
JSON: `peak_bytes`, the most that was allocated at once by the step beyond what was there before,
the head's gradient left out; `seconds` of each round, of which a slow way gets fewer than ROUNDS;
`loss`. FOLDER gets the gradients, for comparison.

It imports nothing of ours but the loss, so that a peer's environment needs no more than PyTorch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
ENOUGH_S = 5.0  # spent on rounds: then no other is begun


class Step:
    """Inputs of a step, the same for every way. counted: positions, at the ends of the rows."""

    def __init__(
        self, device: str, batch: int, length: int, width: int, vocabulary: int, counted: int
    ) -> None:
        g = torch.Generator().manual_seed(0)
        self.x_PC = torch.randn(batch * length, width, generator=g).to(device).requires_grad_()
        self.norm = torch.nn.LayerNorm(width).to(device)
        weight_VC = torch.randn(vocabulary, width, generator=g) * width**-0.5
        self.weight_VC = torch.nn.Parameter(weight_VC.to(device))
        rows = []
        for row in range(batch):
            end, count = (row + 1) * length, counted // batch + (row < counted % batch)
            rows.append(torch.arange(end - count, end))
        self.rows_R = torch.cat(rows).to(device)
        self.targets_R = torch.randint(0, vocabulary, self.rows_R.shape, generator=g).to(device)

    def masked_P(self) -> Tensor:
        targets_P = torch.full((len(self.x_PC),), IGNORED, device=self.x_PC.device)
        targets_P[self.rows_R] = self.targets_R
        return targets_P

    def run(self, loss: Callable[[], Tensor]) -> float:
        self.x_PC.grad = self.weight_VC.grad = None
        self.norm.zero_grad()
        made = loss()
        made.backward()
        return made.item()


def way(name: str, step: Step) -> Callable[[], Tensor]:
    """The loss of a step, as a sum."""
    norm, weight_VC, rows_R, targets_R = step.norm, step.weight_VC, step.rows_R, step.targets_R
    masked_P = step.masked_P()
    if name == "full":
        return lambda: F.cross_entropy(
            F.linear(norm(step.x_PC), weight_VC), masked_P, ignore_index=IGNORED, reduction="sum"
        )
    if name == "sliced":
        return lambda: F.cross_entropy(
            F.linear(norm(step.x_PC[rows_R]), weight_VC), targets_R, reduction="sum"
        )
    if name == "parts":
        from rwkv_music_train.loss import head_loss

        return lambda: head_loss(norm(step.x_PC[rows_R]), weight_VC, targets_R)
    if name == "exact":
        exact = [x.detach().double() for x in (norm.weight, norm.bias)]
        return lambda: F.cross_entropy(
            F.linear(
                F.layer_norm(step.x_PC[rows_R].double(), norm.normalized_shape, *exact),
                weight_VC.double(),
            ),
            targets_R,
            reduction="sum",
        )
    if name in ("liger", "liger_masked"):
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

        fused = LigerFusedLinearCrossEntropyLoss(ignore_index=IGNORED, reduction="sum")
        if name == "liger":
            return lambda: fused(weight_VC, norm(step.x_PC[rows_R]), targets_R)
        return lambda: fused(weight_VC, norm(step.x_PC), masked_P)
    from cut_cross_entropy import linear_cross_entropy

    form = "cce" if step.x_PC.device.type == "cuda" else "torch_compile"
    options: dict[str, Any] = {"impl": form, "reduction": "sum"}
    if name == "cce":
        return lambda: linear_cross_entropy(
            norm(step.x_PC[rows_R]), weight_VC, targets_R, **options
        )
    if name == "cce_masked":
        return lambda: linear_cross_entropy(
            norm(step.x_PC), weight_VC, masked_P, ignore_index=IGNORED, **options
        )
    raise ValueError(f"way: got {name!r}")


def peak_bytes(call: Callable[[], object], device: str, left_out: Callable[[], set[int]]) -> int:
    """The most that PyTorch had allocated on a device at once during a call, beyond what it had
    before.

    left_out: addresses, known after the call, of what does not count where it is still there.
    """
    from torch._C._profiler import _EventType
    from torch.profiler import ProfilerActivity, profile
    from torch.profiler._utils import traverse_dfs

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    tree = profiler.profiler.kineto_results.experimental_event_tree()
    events = sorted(
        (event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size)
        for event in traverse_dfs(tree)
        if event.tag == _EventType.Allocation and event.extra_fields.device.type == device
    )
    aside = left_out()
    last = {pointer: at for at, pointer, size in events if size > 0}
    held: dict[int, int] = {}
    now = most = 0
    for at, pointer, size in events:
        if size > 0 and not (pointer in aside and last[pointer] == at):
            held[pointer] = size
            now += size
            most = max(most, now)
        elif size < 0:
            now -= held.pop(pointer, 0)
    return most


def main() -> None:
    name, device, *numbers, folder = sys.argv[1:]
    *shape, rounds = (int(number) for number in numbers)
    torch.manual_seed(0)
    step = Step(device, *shape)
    loss = way(name, step)
    if name not in ("full", "sliced", "parts", "exact"):
        step.run(loss)  # compiles

    def gradient() -> set[int]:
        assert step.weight_VC.grad is not None  # the step has just made it
        return {step.weight_VC.grad.untyped_storage().data_ptr()}

    peak = peak_bytes(lambda: step.run(loss), device, gradient)
    seconds: list[float] = []
    while len(seconds) < rounds and sum(seconds) < ENOUGH_S:
        start = perf_counter()
        value = step.run(loss)
        seconds.append(perf_counter() - start)
    assert step.x_PC.grad is not None
    assert step.weight_VC.grad is not None
    made = {"hidden": step.x_PC.grad.cpu(), "head": step.weight_VC.grad.cpu()}
    torch.save(made, Path(folder) / f"{name}.pt")
    print(json.dumps({"peak_bytes": peak, "seconds": seconds, "loss": value}))


if __name__ == "__main__":
    main()
