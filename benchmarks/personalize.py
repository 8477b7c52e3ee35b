"""Do five pieces of a composer help with a sixth? `train personalize`, against no memory and
against the memory of others.

    python -m benchmarks.personalize --midi FOLDER [--model FILE] [--composers 6] [--no-others]
        [--json FILE]

FOLDER holds MIDI files and a manifest.csv with the columns path, split and composer. For each
composer who has a validation piece and five training pieces, drawn at random: what the command does
by itself is done with the five (each kept aside once, to see whether and how much they help each
other), and the loss of the validation piece, which the model has never seen, is measured from the
zero state and from the state that came out, over the first 8, 16 and 32 bars after beginnings that
are spread over the piece, without context. What is heard outweighs what a state begins with: the
more bars, the less is gained on the average of them. `others`: the 8 bars from a state made of one
piece each of five other composers, which tells what is the composer's and what any music would do
(--no-others: not measured). Where `train personalize` would write nothing, since the pieces do not
help each other, the loss is that without.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rwkv_music_train.personalize import Tuned, loss_from, tune_state
from rwkv_music_train.pieces import Piece
from rwkv_music_train.prepare import PrepareOptions, read_all
from rwkv_music_train.weights import model_of
from rwkv_music_train.windows import Window, cut_window

from rwkv_music.errors import ConfigError
from rwkv_music.model.weights import Weights, load_weights
from rwkv_music.tokenizer import load_vocabulary

from .engine import default_weights
from .figures import machine, table, write

PIECES = 5
WINDOWS = {8: 24, 16: 12, 32: 6}  # bars of a window, and how many of them at most
_LONGEST = 8192  # tokens of a window
_UNKNOWN = {"", "anonymous", "traditional", "anon.", "unknown"}


def composers(folder: Path) -> dict[str, dict[str, list[str]]]:
    """Paths of each composer's pieces, by split."""
    found: dict[str, dict[str, list[str]]] = {}
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["composer"].strip()
            if name.casefold() not in _UNKNOWN:
                splits = found.setdefault(name, {})
                splits.setdefault(row["split"], []).append(row["path"])
    return {
        name: splits
        for name, splits in found.items()
        if splits.get("valid") and len(splits.get("train", ())) >= PIECES
    }


def read(folder: Path, paths: list[str]) -> list[Piece]:
    pieces, refused = read_all([folder / path for path in paths], PrepareOptions())
    if refused:
        raise SystemExit(f"cannot be read: {refused}")
    return pieces


def tuned(weights: Weights, pieces: list[Piece]) -> Tuned | None:
    """What the command makes of the pieces; None where it refuses them."""
    try:
        return tune_state(weights, pieces)
    except ConfigError:
        return None


def windows_of(piece: Piece, bars: int, count: int) -> list[Window]:
    """Up to `count` windows of so many bars, their beginnings spread evenly over the piece."""
    last = max(len(piece.bars) - 1 - bars, 0)
    starts = np.unique(np.linspace(0, last, min(count, last // bars + 1)).round().astype(int))
    bos = load_vocabulary().bos
    return [cut_window(piece, int(start), 0, bars, _LONGEST, bos) for start in starts]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    weights = load_weights(options.model) if options.model else default_weights()
    model = model_of(weights).eval()
    found = composers(options.midi)
    rng = np.random.default_rng(options.seed)
    names = [str(name) for name in rng.permutation(sorted(found))[: options.composers]]

    def drawn(name: str, split: str, count: int) -> list[str]:
        return [str(path) for path in rng.permutation(found[name][split])[:count]]

    rows: list[dict[str, Any]] = []
    for name in names:
        (sixth,) = read(options.midi, drawn(name, "valid", 1))
        own = read(options.midi, drawn(name, "train", PIECES))
        rest = [other for other in found if other != name]
        others = [drawn(str(other), "train", 1)[0] for other in rng.permutation(rest)[:PIECES]]
        windows = {bars: windows_of(sixth, bars, count) for bars, count in WINDOWS.items()}
        started = perf_counter()
        mine = tuned(weights, own)
        seconds = perf_counter() - started
        row: dict[str, Any] = {"composer": name, "piece": Path(sixth.path).stem[:24]}
        for bars, some in windows.items():
            without = loss_from(model, some, None)[0]
            row[f"bars_{bars}"] = without
            row[f"lower_{bars}"] = without - loss_from(model, some, mine.states)[0] if mine else 0.0
        if options.others:
            theirs = tuned(weights, read(options.midi, others))
            states = theirs.states if theirs else None
            row["lower_8_by_others"] = row["bars_8"] - loss_from(model, windows[8], states)[0]
        row |= {
            "expected": mine.gain if mine else None,
            "share": mine.share if mine else None,
            "steps": mine.steps if mine else None,
            "seconds": seconds,
        }
        rows.append(row)
        print(table(rows[-1:]), flush=True)
    result: dict[str, Any] = {
        "benchmark": "personalize",
        "machine": machine(),
        "model": Path(weights.source).name,
        "rows": rows,
        "written": sum(row["steps"] is not None for row in rows),
    }
    for key in [key for key in rows[0] if key.startswith("lower_")]:
        gains = [row[key] for row in rows]
        result[key] = {
            "lower": sum(gain > 0 for gain in gains),
            "higher": sum(gain < 0 for gain in gains),
            "mean": float(np.mean(gains)),
            "standard_error": standard_error(gains),
        }
    return result


def standard_error(values: list[float]) -> float:
    """Of their mean; NaN for one value."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--midi", type=Path, required=True, help="MIDI files with a manifest.csv")
    made.add_argument("--model", help="weights; without them, the shipped model")
    made.add_argument("--composers", type=int, default=6)
    made.add_argument("--no-others", dest="others", action="store_false", help="in half the time")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options)
    print(table(result["rows"]))
    print(f"of {len(result['rows'])} composers {result['written']} were given a memory")
    for key, means in result.items():
        if key.startswith("lower_"):
            print(
                f"{key}: lower on {means['lower']} pieces, higher on {means['higher']}, on the"
                f" average by {means['mean']:.4f} +- {means['standard_error']:.4f} nats a target"
            )
    write(result, options.json)


if __name__ == "__main__":
    main()
