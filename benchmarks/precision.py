"""What fewer bits cost: the loss of the native engine's weights of 16, 8 and 4 bits over 32.

    python -m benchmarks.precision --data prepared [--model FILE] [--pieces 40] [--json FILE]

The loss is the mean negative log-likelihood, in nats, of every token of a kind that the daemon
samples, in the beginnings of pieces that were kept from training (`train prepare` makes the
folder). `increase_percent` is against 32
bits on the same tokens, with its standard error over tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rwkv_music_train.pieces import read_split
from rwkv_music_train.windows import sampled_kinds

from rwkv_music.engine.native import NativeEngine
from rwkv_music.model.weights import load_weights
from rwkv_music.tokenizer import load_vocabulary

from .figures import machine, table, write
from .models import default_weights

LONGEST = 500  # tokens of a piece


def losses(engine: NativeEngine, pieces: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Of every token that counts."""
    counts = sampled_kinds(load_vocabulary())
    values = []
    for tokens in pieces:
        state = engine.new_state()
        for token, following in pairwise(tokens):
            logits = engine.step(state, token).astype(np.float64)
            if not counts[following]:
                continue
            most = logits.max()
            values.append(most + np.log(np.exp(logits - most).sum()) - logits[following])
    return np.array(values)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    vocabulary = load_vocabulary()
    weights = load_weights(options.model) if options.model else default_weights()
    kept = read_split(options.data, "valid", vocabulary)
    chosen = np.random.default_rng(0).permutation(len(kept))[: options.pieces]
    pieces = [[vocabulary.bos, *kept[int(i)].tokens[:LONGEST].tolist()] for i in chosen]
    rows = []
    exact = losses(NativeEngine(weights, bits=32), pieces)
    for bits in (32, 16, 8, 4):
        values = exact if bits == 32 else losses(NativeEngine(weights, bits=bits), pieces)
        rows.append(
            {
                "bits": bits,
                "tokens": len(values),
                "loss": float(values.mean()),
                "increase_percent": float((values.mean() / exact.mean() - 1) * 100),
                "standard_error": float(
                    (values - exact).std() / len(values) ** 0.5 / exact.mean() * 100
                ),
            }
        )
    return {"machine": machine(), "model": Path(weights.source).name, "rows": rows}


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", type=Path, required=True, help="pieces kept from training")
    made.add_argument("--model", help="a checkpoint; without it, the shipped model")
    made.add_argument("--pieces", type=int, default=40)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options)
    print(table(result["rows"]))
    write(result, options.json)


if __name__ == "__main__":
    main()
