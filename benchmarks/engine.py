"""How fast the engines are: tokens a second, and the share of what the memory would allow.

    python -m benchmarks.engine [--quick] [--models L6-C384,...] [--threads 1] [--rounds N]
        [--no-peers] [--json FILE]

Every engine of a model takes its turn in every round: a few calls to warm up, then the calls that
count; medians are over all rounds. In the same turns a block of memory, as large as what a token
reads, is read and nothing else: `share_of_bandwidth` is a token's bytes (weights once, the state
read and written) by its time, over the bytes a second of that reading. `ratio_to_peer` is over the
best of the `rwkv` package, float32 or bfloat16, one thread, in the same rounds and the same mode.

Modes: decode (one token a call; batch 4: four states), prefill (64 tokens a call). --quick measures
the default model alone: the one that is shipped.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: as the service sets it

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rwkv_music.engine import native
from rwkv_music.engine.base import Engine
from rwkv_music.engine.native import BITS, NativeEngine
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.weights import Weights, load_weights, save_weights

from .figures import machine, spread, table, write
from .first_note import first_notes
from .peers import Peer, PeerError

SIZES = {
    "L6-C384": ModelConfig(6, 384, 512, 64, 64, 32, 96),
    "L12-C512": ModelConfig(12, 512, 512, 64, 64, 32, 128),
    "L24-C1024": ModelConfig(24, 1024, 20096, 64, 64, 64, 160),
}
PREFILL, TAKES = 64, 4
ROUNDS, QUICK_ROUNDS = 12, 6
_TURN_S = 0.12  # of calls that count
_LARGEST_FOR_NUMPY = 100_000_000  # parameters: beyond, it only takes memory and time

Calls = Callable[[int], list[float]]  # that many calls: the seconds of each


@dataclass(slots=True)
class Contender:
    """An engine in one mode, and how long its calls took."""

    row: dict[str, Any]
    calls: Calls
    tokens: int  # of one call
    bytes_read: int | None = None
    seconds: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        once = median(self.calls(3))
        self.seconds += self.calls(max(2, min(400, round(_TURN_S / once))))


def timed(call: Callable[[int], object]) -> Calls:
    """Calls of `call(i)`, each measured on its own."""

    def run(count: int) -> list[float]:
        seconds = []
        for i in range(count):
            start = perf_counter()
            call(i)
            seconds.append(perf_counter() - start)
        return seconds

    return run


def modes_of(engine: Engine, row: dict[str, Any]) -> list[Contender]:
    """Decoding, a batch of takes and prefill of one engine."""
    states = [engine.new_state() for _ in range(TAKES)]
    tokens = [i * 7919 % engine.config.vocabulary for i in range(PREFILL)]
    bytes_read = engine.bytes_per_token if isinstance(engine, NativeEngine) else None
    return [
        Contender(
            {**row, "mode": "decode", "batch": 1},
            timed(lambda i: engine.step(states[0], tokens[i % PREFILL])),
            1,
            bytes_read,
        ),
        Contender(
            {**row, "mode": "decode", "batch": TAKES},
            timed(lambda i: engine.step_batch(states, [tokens[i % PREFILL]] * TAKES)),
            TAKES,
        ),
        Contender(
            {**row, "mode": "prefill", "batch": 1},
            timed(lambda i: engine.prefill(states[0], tokens)),
            PREFILL,
        ),
    ]


def our_contenders(name: str, weights: Weights, threads: Sequence[int]) -> list[Contender]:
    """NumPy, and the native engine at each bit width and number of threads."""
    contenders = []
    base = {"model": name, "parameters": weights.config.parameters}
    if weights.config.parameters <= _LARGEST_FOR_NUMPY:
        row = {"engine": "numpy", **base, "bits": 32, "threads": 1}
        contenders += modes_of(NumpyEngine(weights), row)
    for count in () if native.absence() else threads:
        for bits in BITS:
            engine = NativeEngine(weights, bits=bits, threads=count)
            row = {"engine": "native", **base, "bits": bits, "threads": count}
            contenders += modes_of(engine, row)
    return contenders


def peer_contenders(
    name: str, weights: Weights, stack: ExitStack, notes: list[str]
) -> list[Contender]:
    """The `rwkv` package where it is installed; else a note that it is not."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    path = folder / "weights.safetensors"
    save_weights(path, weights.tensors, weights.config, weights.vocabulary_hash, {}, bfloat16=True)
    contenders = []
    for precision, bits in (("fp32", 32), ("bf16", 16)):
        try:
            peer = stack.enter_context(Peer("rwkv_package", str(path), precision))
        except PeerError as error:
            notes.append(f"{name}: no peer, rwkv package, {precision}: {error}")
            continue
        base = {"engine": peer.name, "model": name, "parameters": weights.config.parameters}
        for mode, tokens in (("decode", 1), ("prefill", PREFILL)):
            row = {**base, "bits": bits, "threads": 1, "mode": mode, "batch": 1}
            what = "step" if mode == "decode" else "prefill"
            contenders.append(
                Contender(row, lambda n, peer=peer, what=what: peer.ask(what, n), tokens)
            )
    return contenders


def memories_of(contenders: Sequence[Contender]) -> dict[int, Contender]:
    """For each number of bytes that a token reads, the reading of so much memory."""
    if native.absence():
        return {}
    from rwkv_music.engine import _native

    sizes = {c.bytes_read for c in contenders if c.bytes_read is not None}
    readers = {size: _native.Memory(size) for size in sorted(sizes)}
    return {
        size: Contender({"bytes": size}, timed(lambda i, r=reader: r.read()), 0)
        for size, reader in readers.items()
    }


def measure_model(
    name: str, weights: Weights, threads: Sequence[int], rounds: int, peers: bool, notes: list[str]
) -> list[dict[str, Any]]:
    """All rows of one model, measured in turns."""
    with ExitStack() as stack:
        contenders = our_contenders(name, weights, threads)
        if peers:
            contenders += peer_contenders(name, weights, stack, notes)
        memories = memories_of(contenders)
        for _ in range(rounds):
            for contender in contenders:
                contender.take_turn()
                if contender.bytes_read is not None:
                    memories[contender.bytes_read].take_turn()
    best_peer: dict[str, float] = {}
    for c in contenders:
        if c.row["engine"].startswith("rwkv"):
            speed = c.tokens / median(c.seconds)
            best_peer[c.row["mode"]] = max(speed, best_peer.get(c.row["mode"], 0))
    return [finished(c, memories, best_peer) for c in contenders]


def finished(
    contender: Contender, memories: dict[int, Contender], best_peer: dict[str, float]
) -> dict[str, Any]:
    """A row with its figures. A batch is compared with the peer's single take."""
    seconds = median(contender.seconds)
    speed = contender.tokens / seconds
    share = bandwidth = None
    if contender.bytes_read is not None:
        bandwidth = contender.bytes_read / median(memories[contender.bytes_read].seconds)
        if contender.row["threads"] == 1:  # the memory is read by one thread
            share = contender.bytes_read / seconds / bandwidth
    peer = best_peer.get(contender.row["mode"])
    return {
        **contender.row,
        "tokens_per_s": speed,
        "call_ms": seconds * 1e3,
        "share_of_bandwidth": share,
        "ratio_to_peer": speed / peer if peer else None,
        "read_gb_per_s": bandwidth / 1e9 if bandwidth else None,
        "mb_per_token": contender.bytes_read / 1e6 if contender.bytes_read else None,
        "call_ms_spread": spread([s * 1e3 for s in contender.seconds]),
    }


def default_weights() -> Weights:
    """The shipped model's; random ones of its usual size where none is."""
    shipped = resources.files("rwkv_music").joinpath("data", "starter.safetensors")
    with resources.as_file(shipped) as file:
        if file.is_file():
            return load_weights(file)
    return random_weights(ModelConfig.sized(6, 256, 432))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    started = perf_counter()
    notes = [native.absence()] if native.absence() else []
    rows: list[dict[str, Any]] = []
    default = default_weights()
    models = [] if options.quick else [name for name in options.models.split(",") if name]
    for name in ["default", *models]:
        weights = default if name == "default" else random_weights(SIZES[name])
        rows += measure_model(
            name, weights, options.threads, options.rounds, not options.no_peers, notes
        )
    return {
        "machine": machine(),
        "instruction_sets": native.instruction_sets(),
        "default": {"source": Path(default.source).name, "config": str(default.config)},
        "rows": rows,
        "first_note": first_notes(default, 100 if options.quick else 400),
        "notes": notes,
        "took_s": perf_counter() - started,
    }


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What fits into a line."""
    names = ("model", "engine", "bits", "threads", "mode", "batch", "tokens_per_s", "call_ms")
    line = {name: row[name] for name in names}
    for name in ("share_of_bandwidth", "ratio_to_peer"):
        line[name] = "" if row[name] is None else f"{row[name]:.2f}"
    return line


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="the default model alone, in a minute")
    made.add_argument("--models", default=",".join(SIZES), help="besides the default model")
    made.add_argument("--threads", type=lambda t: [int(n) for n in t.split(",")], default=[1])
    made.add_argument("--rounds", type=int, help=f"turns of each engine (default {ROUNDS})")
    made.add_argument("--no-peers", action="store_true", help="our engines alone")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    result = measure(options)
    print(table([shown(row) for row in result["rows"]]))
    print(table([result["first_note"]]))
    for note in result["notes"]:
        print(note)
    write(result, options.json)


if __name__ == "__main__":
    main()
