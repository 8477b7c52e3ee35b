"""How fast the engines are: tokens a second, and the share of what the memory would allow.

    python -m benchmarks.engine [--quick] [--models L6-C384,...] [--large 1.5B,...] [--threads 1,2]
        [--peers rwkv,llama.cpp,transformer] [--folder FOLDER] [--rounds N] [--json FILE]

Every engine of a model takes its turn in every round: a few calls to warm up, then the calls that
count; medians are over all rounds. In the same turns a block of memory, as large as what a token
reads, is read and nothing else, by as many threads: `share_of_bandwidth` is a token's bytes
(weights once, the state read and written) by its time, over the bytes a second of that reading.

Modes: decode (one token a call; batch 4: four states), prefill (64 tokens a call). Peers run in the
same rounds on one thread each, in the environment that `make bench-peers` makes: the `rwkv`
package, llama.cpp, and a transformer of as many weights with a KV cache. `ratio_to_peer` is over
llama.cpp at the same bits, and where there is none over the best of the `rwkv` package. --folder
keeps what is converted for them. `round_trip_ns` is how long a line of the cache takes between two
cores and back, before and after: two threads are as fast as that allows.

--quick measures the default model alone, the one that is shipped.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: as the service sets it

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from rwkv_music.engine import native

from .contenders import (
    Contender,
    finished,
    large_contenders,
    memories_of,
    our_contenders,
    peer_contenders,
)
from .figures import machine, table, write
from .first_note import first_notes
from .models import DEFAULT, LARGE, SIZES, default_weights, weights_of

PEERS = ("rwkv", "llama.cpp", "transformer")
ROUNDS, QUICK_ROUNDS = 12, 6


def round_trip_ns() -> float | None:
    if native.absence():
        return None
    from rwkv_music.engine import _native

    return _native.round_trip_ns()


def measured(contenders: Sequence[Contender], rounds: int) -> list[dict[str, Any]]:
    """Their rows, measured in turns."""
    memories = memories_of(contenders)
    before = round_trip_ns()
    for _ in range(rounds):
        for contender in contenders:
            contender.take_turn()
            if contender.bytes_read is not None:
                memories[contender.bytes_read, contender.row["threads"]].take_turn()
    between = {"round_trip_ns": [before, round_trip_ns()]}
    return [{**finished(c, memories, contenders), **between} for c in contenders]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    started = perf_counter()
    notes = [native.absence()] if native.absence() else []
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.models:
            weights = weights_of(name)
            with ExitStack() as stack:
                contenders = our_contenders(name, weights, options.threads)
                contenders += peer_contenders(name, weights, options.peers, folder, stack, notes)
                rows += told(measured(contenders, options.rounds))
    for name in options.large:
        for bits in (8, 4):  # one after the other: both may not fit
            contenders = large_contenders(name, [bits], options.threads)
            rows += told(measured(contenders, options.rounds))
    default, choosing = default_weights(), None
    if DEFAULT in options.models:
        choosing = first_notes(default, 100 if options.quick else 400)
    return {
        "machine": machine(),
        "instruction_sets": native.instruction_sets(),
        "default": {"source": Path(default.source).name, "config": str(default.config)},
        "rows": rows,
        "first_note": choosing,
        "notes": notes,
        "took_s": perf_counter() - started,
    }


def told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Prints rows as soon as there are some: a whole run takes minutes."""
    print(table([shown(row) for row in rows]), flush=True)
    return rows


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What fits into a line."""
    names = ("model", "engine", "bits", "threads", "mode", "batch", "tokens_per_s", "call_ms")
    line = {name: row[name] for name in names}
    line["context"] = row.get("context", "")
    for name in ("share_of_bandwidth", "ratio_to_peer", "ratio_to_rwkv_package"):
        line[name] = "" if row[name] is None else f"{row[name]:.2f}"
    return line


def names_of(known: Sequence[str]) -> Any:
    """A type for argparse: some of `known`, with commas between."""

    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if wrong := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"got {wrong[0]}, expected {', '.join(known)}")
        return names

    return parse


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = [DEFAULT, *SIZES]
    made.add_argument("--quick", action="store_true", help="the default model alone, in a minute")
    made.add_argument("--models", type=names_of(everything), default=everything)
    made.add_argument("--large", type=names_of(list(LARGE)), default=[], help=", ".join(LARGE))
    made.add_argument("--threads", type=lambda t: [int(n) for n in t.split(",")], default=[1])
    made.add_argument("--peers", type=names_of(PEERS), help="'' for none")
    made.add_argument("--folder", type=Path, help="where converted models are kept")
    made.add_argument("--rounds", type=int, help=f"turns of each engine (default {ROUNDS})")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    if options.quick:
        options.models, options.large = [DEFAULT], []
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    if options.peers is None:
        options.peers = PEERS[:1] if options.quick else PEERS
    result = measure(options)
    if result["first_note"]:
        print(table([result["first_note"]]))
    for note in result["notes"]:
        print(note)
    write(result, options.json)


if __name__ == "__main__":
    main()
