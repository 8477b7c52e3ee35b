"""The `rwkv` package (TorchScript on the CPU), one thread: python -m ... FILE fp32|bf16"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.update(RWKV_V7_ON="1", RWKV_JIT_ON="1", RWKV_CUDA_ON="0", OMP_NUM_THREADS="1")

PREFILL = 64


def load(path: str, precision: str) -> Any:
    """The package's model of our checkpoint."""
    import torch
    from rwkv.model import RWKV

    from rwkv_music.model.weights import load_weights

    torch.set_num_threads(1)
    tensors = load_weights(path).tensors.items()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights"
        torch.save({name: torch.from_numpy(t.copy()) for name, t in tensors}, f"{file}.pth")
        return RWKV(model=str(file), strategy=f"cpu {precision}")


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # the package prints while it loads
    path, precision = sys.argv[1:]
    model = load(path, precision)
    print(json.dumps({"name": f"rwkv package, {precision}"}), file=answers, flush=True)
    state, token = None, 0
    for line in sys.stdin:
        what, count = json.loads(line)
        seconds = []
        for _ in range(count):
            token = (token + 7919) % 400
            tokens = [token] if what == "step" else [(token + i) % 400 for i in range(PREFILL)]
            start = perf_counter()
            _, state = model.forward(tokens, state)
            seconds.append(perf_counter() - start)
        print(json.dumps(seconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
