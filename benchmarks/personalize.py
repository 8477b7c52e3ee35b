"""Do five pieces of a composer help with a sixth? `train personalize`, against no memory and
against the memory of others.

    python -m benchmarks.personalize --midi FOLDER [--model FILE] [--composers 6] [--no-others]
        [--json FILE]

FOLDER holds MIDI files and a manifest.csv with the columns path, split and composer. For each
composer who has a validation piece and five training pieces, drawn at random: the initial state is
tuned on the five, and the loss of the validation piece, which the model has never seen, is
measured from the zero state and from the tuned one, in windows of 512 tokens that begin anywhere
without context. `others`: the same from a state tuned on one piece each of five other composers,
which tells what is the composer's and what any piano music would do (--no-others: not measured).
Where `train personalize` would write nothing, since the pieces do not help each other, the loss is
that without.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from rwkv_music_train.personalize import Tuned, TuneOptions, loss_from, tune_state
from rwkv_music_train.pieces import Piece
from rwkv_music_train.prepare import PrepareOptions, read_all
from rwkv_music_train.weights import model_of
from rwkv_music_train.windows import Window, validation_windows

from rwkv_music.errors import ConfigError
from rwkv_music.model.weights import Weights, load_weights
from rwkv_music.tokenizer import load_vocabulary

from .engine import default_weights
from .figures import machine, table, write

PIECES = 5
LENGTH = 512
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


def tuned_loss(
    weights: Weights, pieces: list[Piece], tune: TuneOptions, windows: list[Window], before: float
) -> tuple[float, Tuned | None]:
    """The loss from the state that the pieces give; that without and None, where they give none."""
    try:
        tuned = tune_state(weights, pieces, tune)
    except ConfigError:
        return before, None
    return loss_from(model_of(weights).eval(), windows, tuned.states)[0], tuned


def measure(options: argparse.Namespace) -> dict[str, Any]:
    vocabulary = load_vocabulary()
    weights = load_weights(options.model) if options.model else default_weights()
    model = model_of(weights).eval()
    found = composers(options.midi)
    rng = np.random.default_rng(options.seed)
    names = [str(name) for name in rng.permutation(sorted(found))[: options.composers]]
    tune = TuneOptions(steps=options.steps, rate=options.rate)

    def drawn(name: str, split: str, count: int) -> list[str]:
        return [str(path) for path in rng.permutation(found[name][split])[:count]]

    rows = []
    for name in names:
        sixth = read(options.midi, drawn(name, "valid", 1))
        own = read(options.midi, drawn(name, "train", PIECES))
        rest = [other for other in found if other != name]
        others = [drawn(str(other), "train", 1)[0] for other in rng.permutation(rest)[:PIECES]]
        windows = validation_windows(sixth, vocabulary, LENGTH, 0, 8)
        before, targets = loss_from(model, windows, None)
        after, tuned = tuned_loss(weights, own, tune, windows, before)
        against = None
        if options.others:
            against, _ = tuned_loss(weights, read(options.midi, others), tune, windows, before)
        rows.append(
            {
                "composer": name,
                "piece": Path(sixth[0].path).stem[:32],
                "targets": targets,
                "without": before,
                "five": after,
                "others": against,
                "lower_by": before - after,
                "expected": tuned.gain if tuned else None,
                "steps": tuned.steps if tuned else 0,
            }
        )
        print(table(rows[-1:]), flush=True)
    gains = [row["lower_by"] for row in rows]
    return {
        "benchmark": "personalize",
        "machine": machine(),
        "model": Path(weights.source).name,
        "steps": options.steps,
        "rate": options.rate,
        "rows": rows,
        "written": sum(row["steps"] > 0 for row in rows),
        "lower": sum(gain > 0 for gain in gains),
        "higher": sum(gain < 0 for gain in gains),
        "mean_lower_by": float(np.mean(gains)),
        "mean_lower_by_than_others": float(np.mean([row["others"] - row["five"] for row in rows]))
        if options.others
        else None,
    }


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--midi", type=Path, required=True, help="MIDI files with a manifest.csv")
    made.add_argument("--model", help="weights; without them, the shipped model")
    made.add_argument("--composers", type=int, default=6)
    made.add_argument("--steps", type=int, default=TuneOptions().steps)
    made.add_argument("--rate", type=float, default=TuneOptions().rate)
    made.add_argument("--no-others", dest="others", action="store_false", help="in half the time")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options)
    print(table(result["rows"]))
    print(
        f"of {len(result['rows'])} composers {result['written']} were given a memory; lower on"
        f" {result['lower']} pieces, higher on {result['higher']}, on the average by"
        f" {result['mean_lower_by']:.4f} nats a target"
    )
    if options.others:
        than_others = result["mean_lower_by_than_others"]
        print(f"and by {than_others:.4f} more than with other composers' pieces")
    write(result, options.json)


if __name__ == "__main__":
    main()
