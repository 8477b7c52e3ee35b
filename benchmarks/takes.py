"""What several takes cost against one: milliseconds of the worker for a bar of music.

    python -m benchmarks.takes [--rounds N] [--threads 1,2] [--json FILE]

The worker hears the demonstration's bars and makes eight bars at the pace of a playhead, as the
service asks for them: three steps at a time. The clock runs while it works: request, model,
choosing, messages. One, two, four and eight takes have their turns in every round, on the same
eight seeds in the end. `step_ms` is the time in the engine for one step of all takes that go on;
takes are of different lengths, so that `together` of them do on the average.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: as the service sets it

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from rwkv_music_daemon.lines import encode
from rwkv_music_daemon.messages import Allow, Generate, Generated, Hear
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.worker import Worker

from rwkv_music.engine.native import NativeEngine
from rwkv_music.midi_files import read_phrase
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.tokenizer import load_vocabulary

from .figures import machine, table, write
from .first_note import StopWatch
from .models import default_weights

DEMO = Path(__file__).parents[1] / "daemon" / "data" / "demo.mid"
TAKES = (1, 2, 4, 8)
BARS, STEPS_PER_BAR, PACE = 8, 48, 3


def perform(watch: StopWatch, seeds: tuple[int, ...]) -> dict[str, float]:
    """Seconds of one request of so many takes, for a bar."""
    answers: list[Any] = []

    def send(answer: Any) -> None:
        encode(answer)
        answers.append(answer)

    worker = Worker(RwkvMusicModel(watch, load_vocabulary()), send)
    phrase = read_phrase(DEMO)
    for number, bar in enumerate(phrase):
        notes = tuple((n.onset, n.pitch, n.velocity, n.duration, False) for n in bar.notes)
        worker.handle([Hear(number, str(bar.meter), bar.tempo_bpm, notes, True)])
    watch.seconds, watch.tokens, watch.calls = 0.0, 0, 0
    start = perf_counter()
    wishes = asdict(Generation())
    first_bar = len(phrase)
    worker.handle([Generate(1, first_bar, BARS, 0, "4/4", 120.0, (0, 0), seeds, False, wishes)])
    for step in range(PACE, BARS * STEPS_PER_BAR + 1, PACE):
        worker.handle([Allow(1, divmod(step, STEPS_PER_BAR))])
        while worker.perform():
            pass
    seconds = perf_counter() - start
    assert sum(isinstance(answer, Generated) for answer in answers) == len(seeds)
    return {
        "ms": seconds * 1e3 / BARS,
        "step_ms": watch.seconds * 1e3 / watch.calls,
        "steps": watch.calls / BARS,
        "together": watch.tokens / watch.calls,
    }


def measure(rounds: int, threads: Sequence[int]) -> dict[str, Any]:
    watches = {
        count: StopWatch(NativeEngine(default_weights(), threads=count)) for count in threads
    }
    cases = [(count, takes) for count in threads for takes in TAKES]
    figures: dict[tuple[int, int], list[dict[str, float]]] = {case: [] for case in cases}
    for number in range(rounds):
        for count, takes in cases:
            first = number * takes % max(TAKES)
            seeds = tuple((first + n) % max(TAKES) for n in range(takes))
            perform(watches[count], seeds[:1])  # to warm up
            figures[count, takes].append(perform(watches[count], seeds))
    rows = []
    for case in cases:
        row: dict[str, Any] = dict(zip(("threads", "takes"), case, strict=True))
        row |= {name: median(f[name] for f in figures[case]) for name in figures[case][0]}
        row["least_ms"] = min(f["ms"] for f in figures[case])
        rows.append(row)
    one = rows[0]
    for row in rows:
        row["step_by_one"] = row["step_ms"] / one["step_ms"]
        row["by_one"] = row["ms"] / one["ms"]
    return {"machine": machine(), "rounds": rounds, "rows": rows}


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--rounds", type=int, default=24)
    made.add_argument("--threads", type=lambda t: [int(n) for n in t.split(",")], default=[1])
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = measure(options.rounds, options.threads)
    print(table(result["rows"]))
    write(result, options.json)


if __name__ == "__main__":
    main()
