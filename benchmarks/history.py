"""What a long history costs: milliseconds a token and memory after 100,000 tokens against 1,000.

A constant-size state should make both the same. Two states of one engine hear random music, one
of them a hundred times as much; then they step in turns, block by block, so that whatever else
the machine does falls on both.

    python -m benchmarks.history [--engine numpy] [--model FILE] [--tokens 100000] [--json FILE]

Without --model: the model shipped with the package, or random weights of its usual size.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: as the service sets it

import argparse
import platform
from importlib import resources
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import psutil

from rwkv_music.engine.base import Engine, EngineState
from rwkv_music.engine.native import NativeEngine
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.weights import Weights, load_weights
from rwkv_music.music import METERS, Bar, Note, canonical
from rwkv_music.tokenizer import encode_bar, load_vocabulary

from .figures import write

ENGINES: dict[str, type[NativeEngine] | type[NumpyEngine]] = {
    "native": NativeEngine,
    "numpy": NumpyEngine,
}
SHORT_TOKENS = 1_000
BLOCKS, BLOCK_TOKENS = 60, 20


def random_tokens(count: int, rng: np.random.Generator) -> list[int]:
    """Tokens of random 4/4 bars of up to 24 notes, at least `count` of them cut to it."""
    meter = next(meter for meter in METERS if str(meter) == "4/4")
    tokens: list[int] = []
    while len(tokens) < count:
        size = int(rng.integers(0, 25))
        columns = zip(
            rng.integers(0, meter.steps, size).tolist(),
            rng.integers(21, 109, size).tolist(),
            rng.integers(1, 128, size).tolist(),
            rng.integers(1, 97, size).tolist(),
            strict=True,
        )
        notes = canonical(Note(*column) for column in columns)
        tokens += encode_bar(Bar(meter, 120.0, notes))
    return tokens[:count]


def usual_weights(path: str | None) -> Weights:
    """Of the file; else of the shipped model; else random ones."""
    shipped = resources.files("rwkv_music").joinpath("data", "starter.safetensors")
    if path or shipped.is_file():
        return load_weights(Path(path or str(shipped)))
    return random_weights(ModelConfig.sized(6, 256, len(load_vocabulary())))


def step_times_ms(
    engine: Engine, states: dict[str, EngineState], tokens: list[int]
) -> dict[str, list[float]]:
    """Milliseconds a token, one figure for each block, the states taking turns."""
    times: dict[str, list[float]] = {name: [] for name in states}
    for block in range(BLOCKS):
        part = tokens[block * BLOCK_TOKENS : (block + 1) * BLOCK_TOKENS]
        order = list(states) if block % 2 else list(states)[::-1]
        for name in order:
            state = states[name].copy()
            start = perf_counter_ns()
            for token in part:
                engine.step(state, token)
            times[name].append((perf_counter_ns() - start) / 1e6 / len(part))
    return times


def measure(path: str | None, long_tokens: int, kind: str) -> dict[str, Any]:
    """All figures of the table."""
    weights = usual_weights(path)
    engine = ENGINES[kind](weights)
    rng = np.random.default_rng(0)
    process = psutil.Process()
    tokens = random_tokens(long_tokens, rng)
    rows: dict[str, dict[str, float]] = {}
    states: dict[str, EngineState] = {}
    for name, count in (("short", SHORT_TOKENS), ("long", long_tokens)):
        state = engine.new_state()
        start = perf_counter_ns()
        for first in range(0, count, 64):
            engine.prefill(state, tokens[first : min(first + 64, count)])
        seconds = (perf_counter_ns() - start) / 1e9
        states[name] = state
        rows[name] = {
            "tokens": count,
            "prefill_ms_per_token": seconds * 1e3 / count,
            "rss_mb": process.memory_info().rss / 1e6,
            "state_bytes": state.nbytes,
        }
    for name, times in step_times_ms(engine, states, random_tokens(5_000, rng)).items():
        rows[name]["step_ms_per_token"] = median(times)
        rows[name]["step_ms_p90"] = sorted(times)[len(times) * 9 // 10]
    return {
        "model": weights.source,
        "engine": engine.name,
        "config": str(weights.config),
        "machine": platform.processor() or platform.machine(),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--engine", choices=tuple(ENGINES), default="native")
    parser.add_argument("--model", help="a checkpoint")
    parser.add_argument("--tokens", type=int, default=100_000, help="length of the long history")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    result = measure(options.model, options.tokens, options.engine)
    print(f"{result['model']}, engine {result['engine']}, {result['config']}")
    print(
        f"{'heard':>9} {'step ms':>9} {'p90':>7} {'prefill ms':>11} {'RSS MB':>8}"
        f" {'state bytes':>12}"
    )
    for row in result["rows"].values():
        print(
            f"{row['tokens']:>9,} {row['step_ms_per_token']:>9.3f} {row['step_ms_p90']:>7.3f}"
            f" {row['prefill_ms_per_token']:>11.3f} {row['rss_mb']:>8.1f} {row['state_bytes']:>12,}"
        )
    short, long = result["rows"]["short"], result["rows"]["long"]
    ratio = long["step_ms_per_token"] / short["step_ms_per_token"]
    growth = long["rss_mb"] - short["rss_mb"]
    print(f"ms a token, long to short: {ratio:.3f}; RSS grew by {growth:.1f} MB")
    write(result, options.json)


if __name__ == "__main__":
    main()
