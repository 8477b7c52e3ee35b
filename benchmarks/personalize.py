"""Do five pieces of a composer help with a sixth? `train personalize`, against no memory and
against the memory of others.

    python -m benchmarks.personalize --midi FOLDER [--model FILE] [--composers 6] [--no-others]
        [--unchecked] [--json FILE]

FOLDER holds MIDI files and a manifest.csv with the columns path, split and composer. For each
composer who has a validation piece and five training pieces, drawn at random: the initial state is
tuned on the five, and the loss of the validation piece, which the model has never seen, is
measured from the zero state and from the tuned one, in windows that begin anywhere without context:
in short ones of 128 tokens, four to eight bars, and in long ones of 512, where the gain is
soon thinned out: what is heard outweighs what a state begins with. `others`: the short ones from a
state tuned on one piece each of five other composers, which tells what is the composer's and what
any piano music would do (--no-others: not measured). Where `train personalize` would write nothing,
since the pieces do not help each other, the loss is that without; --unchecked leaves that look out.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from rwkv_music_train.personalize import Tuned, TuneOptions, loss_from, tune_state, tuning
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
WINDOWS = {128: 24, 512: 8}  # tokens of a window, and how many of them at most
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


def tuned(
    weights: Weights, pieces: list[Piece], options: TuneOptions, checked: bool
) -> Tuned | None:
    """What the pieces give; None where they do not help each other."""
    if not checked:
        *_, states = tuning(model_of(weights).eval().requires_grad_(False), pieces, options)
        return Tuned(states, options.steps)
    try:
        return tune_state(weights, pieces, options)
    except ConfigError:
        return None


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
        windows = {
            length: validation_windows(sixth, vocabulary, length, 0, count)
            for length, count in WINDOWS.items()
        }

        def losses(found: Tuned | None, windows: dict[int, list[Window]] = windows) -> list[float]:
            states = found.states if found else None
            return [loss_from(model, some, states)[0] for some in windows.values()]

        mine = tuned(weights, own, tune, options.checked)
        (short, long), (short_after, long_after) = losses(None), losses(mine)
        against = None
        if options.others:
            theirs = tuned(weights, read(options.midi, others), tune, options.checked)
            against = losses(theirs)[0]
        rows.append(
            {
                "composer": name,
                "piece": Path(sixth[0].path).stem[:24],
                "without": short,
                "five": short_after,
                "others": against,
                "lower_by": short - short_after,
                "lower_by_long": long - long_after,
                "expected": mine.gain if mine else None,
                "steps": mine.steps if mine else 0,
            }
        )
        print(table(rows[-1:]), flush=True)
    gains, long_gains = ([row[key] for row in rows] for key in ("lower_by", "lower_by_long"))
    return {
        "benchmark": "personalize",
        "machine": machine(),
        "model": Path(weights.source).name,
        "steps": options.steps,
        "rate": options.rate,
        "checked": options.checked,
        "rows": rows,
        "written": sum(row["steps"] > 0 for row in rows),
        "lower": sum(gain > 0 for gain in gains),
        "higher": sum(gain < 0 for gain in gains),
        "mean_lower_by": float(np.mean(gains)),
        "standard_error": standard_error(gains),
        "mean_lower_by_long": float(np.mean(long_gains)),
        "standard_error_long": standard_error(long_gains),
        "mean_lower_by_than_others": float(np.mean([row["others"] - row["five"] for row in rows]))
        if options.others
        else None,
    }


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
    made.add_argument("--steps", type=int, default=TuneOptions().steps)
    made.add_argument("--rate", type=float, default=TuneOptions().rate)
    made.add_argument("--no-others", dest="others", action="store_false", help="in half the time")
    made.add_argument(
        "--unchecked",
        dest="checked",
        action="store_false",
        help="all steps on all pieces, none kept aside: a sixth of the time",
    )
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options)
    print(table(result["rows"]))
    print(
        f"of {len(result['rows'])} composers {result['written']} were given a memory; lower on"
        f" {result['lower']} pieces, higher on {result['higher']}, on the average by"
        f" {result['mean_lower_by']:.4f} +- {result['standard_error']:.4f} nats a target (long"
        f" windows: {result['mean_lower_by_long']:.4f} +- {result['standard_error_long']:.4f})"
    )
    if options.others:
        than_others = result["mean_lower_by_than_others"]
        print(f"and by {than_others:.4f} more than with other composers' pieces")
    write(result, options.json)


if __name__ == "__main__":
    main()
