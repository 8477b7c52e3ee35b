"""The `rwkv` package (TorchScript on the CPU): python -m ... CHECKPOINT fp32|bf16 THREADS"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

path, precision, threads = sys.argv[1:]
os.environ.update(RWKV_V7_ON="1", RWKV_JIT_ON="1", RWKV_CUDA_ON="0", OMP_NUM_THREADS=threads)

import torch  # noqa: E402

from rwkv_music.model.weights import load_weights  # noqa: E402

from .serving import claim_output, serve  # noqa: E402


def main() -> None:
    answers = claim_output()  # the package prints while it loads
    from rwkv.model import RWKV

    torch.set_num_threads(int(threads))
    weights = load_weights(path)
    converted = Path(path).with_suffix(".pth")
    if not converted.is_file():
        tensors = {
            name: torch.from_numpy(tensor.copy()).bfloat16()
            for name, tensor in weights.tensors.items()
        }
        part = converted.with_suffix(".part")
        torch.save(tensors, part)
        part.replace(converted)  # complete, or not there
    model = RWKV(model=str(converted.with_suffix("")), strategy=f"cpu {precision}")
    state: Any = None

    def call(tokens: list[int], what: str) -> None:
        nonlocal state
        _, state = model.forward(tokens, state)

    serve(answers, f"rwkv package, {precision}", weights.config.vocabulary, call)


if __name__ == "__main__":
    main()
