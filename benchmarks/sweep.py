"""Small runs with one thing changed at a time: which shape, rate, decay and dropout to train with.

    python -m benchmarks.sweep --data FOLDER [--steps 150] [--json FILE] [CHANGE ...]

FOLDER is what `train prepare` wrote. Every run begins from nothing and reads the same windows in
the same order, by the settings of the recipe (`make model`) with windows of --length; all are told
the same windows of the validation split. A CHANGE is one or several settings with blanks between:

    optimiser.rate=3e-3 "model.layers=11 model.width=192" model.dropout=0.05

So few tokens say who learns fast. A dropout that hinders now may help a run that reads everything
five times, and a deep model may catch up.
"""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from rwkv_music_train.config import read_config
from rwkv_music_train.pieces import read_split
from rwkv_music_train.weights import new_model
from rwkv_music_train.windows import validation_windows

from rwkv_music.tokenizer import load_vocabulary

from .figures import machine, table, write
from .transformer import CONTEXT_BARS, parameters_of, trained

AS_IT_IS = ""


def measure(options: argparse.Namespace) -> dict[str, Any]:
    vocabulary = load_vocabulary()
    valid = read_split(options.data, "valid", vocabulary)
    windows = validation_windows(valid, vocabulary, options.length, CONTEXT_BARS, options.windows)
    fixed = (
        f"data.folder={options.data}",
        f"data.windows.length={options.length}",
        f"run.steps={options.steps}",
        "optimiser.warmup_steps=20",
    )
    recipe = resources.files("rwkv_music_train").joinpath("recipes", "starter.yaml")
    rows = []
    for change in (AS_IT_IS, *options.changes):
        with resources.as_file(recipe) as file:
            config = read_config(file, (*fixed, *change.split()))
        torch.manual_seed(config.run.seed)
        model = new_model(config.model)
        loss, learnt, seconds = trained(model, config, windows)
        row = {
            "changed": change or "nothing",
            "parameters": parameters_of(model),
            "training": learnt,
            "nats": loss.nats,
            "bits_a_note": loss.bits_a_note,
            "seconds": seconds,
        }
        rows.append(row)
        print(table([row]), flush=True)
    return {
        "benchmark": "sweep",
        "machine": machine(),
        "tokens": options.steps * config.run.batch * options.length,
        "rows": rows,
    }


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("changes", nargs="*", metavar="CHANGE")
    made.add_argument("--data", type=Path, required=True, help="what train prepare wrote")
    made.add_argument("--steps", type=int, default=150)
    made.add_argument("--length", type=int, default=1024, help="tokens a row")
    made.add_argument("--windows", type=int, default=60, help="of the validation split")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options)
    print(f"{result['tokens']} tokens each")
    print(table(result["rows"]))
    write(result, options.json)


if __name__ == "__main__":
    main()
