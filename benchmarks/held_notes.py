"""How long will a key stay down? The durations given to held notes at the hand-over, against what
the pianist of the score really did.

    python -m benchmarks.held_notes --data prepared [--model FILE] [--pieces 50] [--json FILE]

Each piece that was kept from training (`train prepare` makes the folder) is heard up to a bar line
over which notes are held; they are told as held, as long as they have sounded, and the duration
with which the state hears each is compared with that in the score. Beside it the two answers that
need no model: it ends on the line ("cut"), or it fills the next bar ("bar"). Errors are in beats;
durations beyond the longest token count as that.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rwkv_music_train.pieces import read_split

from rwkv_music.model import load_model
from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import LONGEST_STEPS, Phrase
from rwkv_music.session import HeardNote, Session
from rwkv_music.timebase import steps_to_beats
from rwkv_music.tokenizer import load_vocabulary
from rwkv_music.tokenizer.decode import decode_phrase

from .figures import machine, table, write

PIECES, LINES = 50, 8  # bar lines a piece
_CONTEXT_BARS = 8
_ANSWERS = ("model", "cut", "bar")


def held_lines(phrase: Phrase) -> list[int]:
    """The bars, but for the first few, at whose end a note of theirs is held."""
    return [
        number
        for number, bar in enumerate(phrase[:-1])
        if number >= _CONTEXT_BARS
        and any(note.onset + note.duration > bar.meter.steps for note in bar.notes)
    ]


def errors_at(model: MusicModel[Any], phrase: Phrase, last: int) -> Iterator[dict[str, float]]:
    """Of each note that is held over the end of bar `last`, the error of each answer."""
    session: Session[Any] = Session(model)
    for number in range(last - _CONTEXT_BARS, last + 1):
        bar = phrase[number]
        told = []
        for note in bar.notes:
            rest = bar.meter.steps - note.onset
            held = number == last and note.duration > rest
            told.append(HeardNote(replace(note, duration=rest) if held else note, held))
        session.hear(number, bar.meter, bar.tempo_bpm, told, closed=True)
    bar = phrase[last]
    next_bar = phrase[last + 1].meter.steps
    heard = {(note.onset, note.pitch): note.duration for note in session.as_heard(last)}
    for note in bar.notes:
        rest = bar.meter.steps - note.onset
        if note.duration > rest:
            answers = (heard[note.onset, note.pitch], rest, rest + next_bar)
            really = min(note.duration, LONGEST_STEPS)
            yield {
                name: abs(steps_to_beats(min(steps, LONGEST_STEPS) - really))
                for name, steps in zip(_ANSWERS, answers, strict=True)
            }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    vocabulary = load_vocabulary()
    model = load_model(options.model)
    random = np.random.default_rng(options.seed)
    kept = read_split(options.data, "valid", vocabulary)
    errors: list[dict[str, float]] = []
    pieces = better = 0
    for i in random.permutation(len(kept)):
        phrase = decode_phrase(kept[int(i)].tokens.tolist(), vocabulary)
        lines = held_lines(phrase)
        if not lines:
            continue
        chosen = random.permutation(len(lines))[:LINES]
        own = [e for k in chosen for e in errors_at(model, phrase, lines[int(k)])]
        errors += own
        means = {name: np.mean([e[name] for e in own]) for name in _ANSWERS}
        better += bool(means["model"] < min(means["cut"], means["bar"]))
        pieces += 1
        if pieces == options.pieces:
            break
    rows = [
        {
            "answer": name,
            "mean_beats": float(np.mean([e[name] for e in errors])),
            "median_beats": float(np.median([e[name] for e in errors])),
            "within_a_step": float(np.mean([e[name] <= steps_to_beats(1) for e in errors])),
        }
        for name in _ANSWERS
    ]
    return {
        "benchmark": "held_notes",
        "machine": machine(),
        "model": model.name,
        "pieces": pieces,
        "notes": len(errors),
        "pieces_on_which_the_model_is_best": better,
        "rows": rows,
    }


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", type=Path, required=True, help="pieces kept from training")
    made.add_argument("--model", default="", help="a checkpoint; without it, the shipped model")
    made.add_argument("--pieces", type=int, default=PIECES)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args(arguments)
    result = measure(options)
    print(table(result["rows"]))
    best = {row["answer"]: row["mean_beats"] for row in result["rows"]}
    reached = best["model"] < min(best["cut"], best["bar"])
    print(
        f"{result['notes']} held notes of {result['pieces']} pieces, the model best on"
        f" {result['pieces_on_which_the_model_is_best']} of them; target: its mean error the"
        f" smallest: {'reached' if reached else 'MISSED'}"
    )
    write(result, options.json)
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
