"""One process or several: `torchrun` starts one a GPU, on one machine or many.

Every process takes its share of each step's rows; gradients are summed by DDP. Counts, losses and
the wish to stop are summed here, so that all processes do the same thing at the same step.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from rwkv_music.errors import ConfigError

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of how many processes this is, and its device."""

    rank: int = 0
    count: int = 1
    device: torch.device = _CPU

    @property
    def first(self) -> bool:
        """Whether this process writes, validates and reports."""
        return self.rank == 0

    def share(self, rows: int) -> range:
        """This process's part of so many rows. Raises ConfigError where they cannot be shared."""
        if rows % self.count:
            raise ConfigError(
                f"{rows} rows cannot be shared by {self.count} processes; choose run.batch and"
                " run.accumulate so that batch / accumulate is a multiple of the processes"
            )
        part = rows // self.count
        return range(self.rank * part, (self.rank + 1) * part)

    def summed(self, *numbers: float) -> tuple[float, ...]:
        """The sum of each number over all processes, in float64."""
        if self.count == 1:
            return numbers
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return tuple(sums.tolist())

    def gathered(self, part: Tensor) -> Tensor:
        """Every process's part, one behind the other along the first axis."""
        if self.count == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.count)]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()


def choose_device(wanted: str, local: int = 0) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device. Raises ConfigError for a GPU that is not there."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ConfigError("run.device: PyTorch finds no GPU; see `train doctor`, or choose cpu")
    return torch.device("cuda", local)


@contextmanager
def joined(device: str = "auto", environ: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """This process among those that torchrun started; alone without it. NCCL between GPUs, gloo
    between processors.

    What was trained with it must be gone when it ends: the reducer of DDP would be the last to hold
    the group, and let it go with Python's lock held, which gloo's own thread may be waiting for;
    then the process never ends.
    """
    count = int(environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, int(environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count == 1:
        yield Ranks(device=chosen)
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), count, chosen)
    except BaseException as error:  # of any kind: its frames hold what was trained
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        gc.collect()
        dist.destroy_process_group()
