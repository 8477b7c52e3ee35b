"""What slicing saves, and how fast the training loop is.

    python -m benchmarks.training [--quick] [--only slicing|loop] [--peer-python FILE] [--json FILE]

`slicing`: loss and head with all logits and a mask, with only the rows that count, and with those a
part of the vocabulary at a time (what `train` does), each in a process of its own, on the
processor: batch 4, length 2048, width 2048, 65,536 tokens, 400 positions that count (--quick: width
256, length 512, 102 positions, so 5 %). Memory is what PyTorch allocated at once, parameters and
the head's gradient apart. `saved_fraction` and `time_ratio` are ours over all logits. Gradients are
compared by the largest difference over the largest of them, with those of all logits and with those
in float64. --peer-python: an interpreter whose environment has PyTorch and cut-cross-entropy;
`ratio_to_cce` is our memory over the less of its two. Liger's kernels need a GPU: `ratio_to_liger`
is null here, and benchmarks/gpu.py measures it.

`loop`: whole steps on this machine, of packed windows drawn from made-up pieces (not with --quick).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from .figures import machine, table, write
from .peers import interpreter

if TYPE_CHECKING:
    import torch

FULL = {"batch": 4, "length": 2048, "width": 2048, "vocabulary": 65536, "counted": 400}
QUICK = {"batch": 4, "length": 512, "width": 256, "vocabulary": 65536, "counted": 102}  # 5 %
OURS = ("full", "sliced", "parts")
PEERS: dict[str, dict[str, tuple[str, ...]]] = {  # on each device
    "cpu": {"cut-cross-entropy": ("cce", "cce_masked")},
    "cuda": {"cut-cross-entropy": ("cce", "cce_masked"), "Liger": ("liger", "liger_masked")},
}
LOOP_SIZES = {"cpu": ("tiny", "starter", "small"), "cuda": ("starter", "0.4B", "1.5B", "3B")}
LOOP_LENGTH = {"cpu": 1024, "cuda": 2048}
_ROUNDS = 3


class WayError(RuntimeError):
    """A way that cannot be measured here."""


def measure_way(
    python: str, name: str, device: str, shape: dict[str, int], rounds: int, folder: str
) -> dict[str, Any]:
    """What benchmarks/peers/head_losses.py says of one way."""
    numbers = [str(number) for number in (*shape.values(), rounds)]
    command = [python, "-m", "benchmarks.peers.head_losses", name, device, *numbers, folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise WayError(f"{name}: {lines[-1]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def gradient_error(folder: Path, name: str, truth: str) -> float:
    """The largest difference from the gradients of another way, over the largest of those."""
    import torch

    want, got = (
        torch.load(folder / f"{way}.pt", weights_only=True, mmap=True) for way in (truth, name)
    )
    return max(float((want[key] - got[key]).abs().max() / want[key].abs().max()) for key in want)


def slicing(
    shape: dict[str, int], rounds: int, peer_python: str, notes: list[str], device: str = "cpu"
) -> dict[str, Any]:
    """Every way, and how ours stands to the others."""
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in OURS:
            rows[name] = measure_way(sys.executable, name, device, shape, rounds, folder)
        for peer, names in PEERS[device].items():
            try:
                for name in names:
                    rows[name] = measure_way(peer_python, name, device, shape, rounds, folder)
            except WayError as error:
                notes.append(f"{peer}: not measured: {error}; `make bench-peers` installs it")
        measure_way(sys.executable, "exact", device, shape, 1, folder)
        for name, row in rows.items():
            row["seconds"] = median(row["seconds"])
            row["from_full"] = gradient_error(Path(folder), name, "full")
            row["from_exact"] = gradient_error(Path(folder), name, "exact")
    if device == "cpu":
        notes.append("Liger: not measured, its kernels need a GPU")
    full, ours = rows["full"], rows["parts"]

    def ratio_to(peer: str) -> float | None:
        names = PEERS[device].get(peer, ())
        peaks = [rows[name]["peak_bytes"] for name in names if name in rows]
        return ours["peak_bytes"] / min(peaks) if peaks else None

    return {
        **shape,
        "device": device,
        "ways": rows,
        "saved_fraction": 1 - ours["peak_bytes"] / full["peak_bytes"],
        "saved_by_slicing_alone": 1 - rows["sliced"]["peak_bytes"] / full["peak_bytes"],
        "time_ratio": ours["seconds"] / full["seconds"],
        "gradient_error": ours["from_full"],
        "ratio_to_cce": ratio_to("cut-cross-entropy"),
        "ratio_to_liger": ratio_to("Liger"),
    }


def loop(notes: list[str], until: float = float("inf")) -> list[dict[str, Any]]:
    """Whole training steps on the GPU, if there is one: batch 4, packed. Sizes that begin after
    `until`, a time of perf_counter, or that do not fit, are told in the notes."""
    import torch
    from rwkv_music_train.ranks import choose_device

    device = choose_device("auto")
    rows = []
    for name in LOOP_SIZES[device.type]:
        if time.perf_counter() > until:
            notes.append(f"loop: no time for {name}")
            continue
        try:
            rows.append(loop_row(name, device))
        except torch.OutOfMemoryError as error:
            notes.append(f"loop: {name}: {str(error).splitlines()[0]}")
    return rows


def loop_row(name: str, device: torch.device) -> dict[str, Any]:
    """Steps of a model by the name of its size."""
    import torch
    from rwkv_music_train.config import SIZES, TrainConfig
    from rwkv_music_train.estimate import matrix_rate, step_operations
    from rwkv_music_train.loop import Trainer
    from rwkv_music_train.memory_use import peak_bytes
    from rwkv_music_train.ranks import Ranks

    length, plain = LOOP_LENGTH[device.type], TrainConfig()
    layers, width = SIZES[name]
    with tempfile.TemporaryDirectory() as folder:
        make_pieces(Path(folder))
        config = replace(
            plain,
            model=replace(plain.model, layers=layers, width=width),
            data=replace(
                plain.data, folder=folder, windows=replace(plain.data.windows, length=length)
            ),
            run=replace(plain.run, folder=f"{folder}/run"),
        )
        trainer = Trainer(config, Ranks(device=device))
        trainer.step()
        seconds, tokens, targets = [], 0, 0
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            _, counted, read, _ = trainer.step()  # reads the loss, so the device has done it
            seconds.append(time.perf_counter() - start)
            tokens, targets = tokens + read, targets + counted
    rate = matrix_rate(device, config.run.precision == "bfloat16")
    operations = step_operations(trainer.model.config, tokens, targets / tokens) / _ROUNDS
    return {
        "size": name,
        "length": length,
        "parameters": trainer.model.config.parameters,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "precision": config.run.precision,
        "step_s": median(seconds),
        "steps_per_s": 1 / median(seconds),
        "tokens_per_s": tokens / sum(seconds),
        "share_of_matrix_rate": operations / median(seconds) / rate,
        "peak_gb": peak_bytes(device) / 1e9,
    }


def make_pieces(folder: Path, count: int = 8, bars: int = 120) -> None:
    """A prepared folder of scales and chords, drawn at random: only the shape matters."""
    import numpy as np
    from rwkv_music_train.pieces import Piece, PieceWriter, shard_path

    from rwkv_music.music import Bar, Meter, Note
    from rwkv_music.tokenizer import encode_bar, load_vocabulary

    rng, meter = np.random.default_rng(0), Meter(4, 4)
    for split in ("train", "valid"):
        with PieceWriter(shard_path(folder, split, 0), load_vocabulary()) as writer:
            for number in range(count):
                tokens, offsets = [], [0]
                for _ in range(bars):
                    notes = {
                        (step, int(rng.integers(40, 90))): Note(step, 0, 80, 6)
                        for step in range(0, meter.steps, 6)
                        for _ in range(2)
                    }
                    played = sorted(replace(n, pitch=key[1]) for key, n in notes.items())
                    tokens += encode_bar(Bar(meter, 120.0, tuple(played)))
                    offsets.append(len(tokens))
                writer.add(
                    Piece(
                        f"{number}.mid",
                        "made up",
                        np.array(tokens, np.uint16),
                        np.array(offsets, np.int32),
                    )
                )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    notes: list[str] = []
    sliced, rows = None, []
    if options.only != "loop":
        shape, rounds = (QUICK, _ROUNDS) if options.quick else (FULL, 1)
        sliced = slicing(shape, rounds, options.peer_python, notes)
    if options.only == "loop" or not (options.only or options.quick):
        rows = loop(notes)
    else:
        notes.append("loop: not measured")
    return {"machine": machine(), "slicing": sliced, "loop": rows, "notes": notes}


def show_slicing(sliced: dict[str, Any]) -> None:
    rows = [
        {
            "way": name,
            "peak_mb": row["peak_bytes"] / 1e6,
            "seconds": row["seconds"],
            "gradients_from_full": f"{row['from_full']:.1e}",
            "from_float64": f"{row['from_exact']:.1e}",
        }
        for name, row in sliced["ways"].items()
    ]
    print(table(rows))
    for name in ("saved_fraction", "saved_by_slicing_alone", "time_ratio", "ratio_to_cce"):
        value = sliced[name]
        print(f"{name:24} {'not measured' if value is None else f'{value:.4f}'}")


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="slicing alone, on a smaller shape")
    made.add_argument("--only", choices=("slicing", "loop"), help="one of the two")
    made.add_argument(
        "--peer-python",
        default=interpreter(),
        help="an interpreter with cut-cross-entropy; by default that of `make bench-peers`",
    )
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options)
    if result["slicing"]:
        show_slicing(result["slicing"])
    print(table(result["loop"]))
    for note in result["notes"]:
        print(note)
    write(result, options.json)


if __name__ == "__main__":
    main()
