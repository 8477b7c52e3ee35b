"""What a prepared data set is like: sizes, sets, meters, tempos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from rwkv_music.tokenizer import load_vocabulary

from .pieces import read_split, split_files
from .sources import SPLITS


def statistics_of(folder: Path) -> dict[str, Any]:
    """Over both splits: notes; pieces of each set; quantiles of the tokens a piece and of the
    tempo of the bars; the share of the bars in each meter."""
    vocabulary = load_vocabulary()
    counts = np.zeros(len(vocabulary), np.int64)
    lengths: list[int] = []
    sets: Counter[str] = Counter()
    for split in SPLITS:
        for piece in read_split(folder, split, vocabulary) if split_files(folder, split) else ():
            counts += np.bincount(piece.tokens, minlength=len(vocabulary))
            lengths.append(len(piece.tokens))
            sets[piece.set] += 1
    bars = max(int(counts[vocabulary.bar]), 1)
    meters = {
        vocabulary.tokens[i].partition("_")[2]: round(int(counts[i]) / bars, 4)
        for i in vocabulary.meter
        if counts[i]
    }
    tempos = [float(vocabulary.tokens[i].partition("_")[2]) for i in vocabulary.tempo]
    in_order = np.repeat(tempos, counts[vocabulary.tempo.start : vocabulary.tempo.stop])
    return {
        "notes": int(counts[vocabulary.pitch.start : vocabulary.pitch.stop].sum()),
        "sets": dict(sorted(sets.items())),
        "tokens_a_piece": _quantiles(np.array(lengths)),
        "tempo_bpm": _quantiles(in_order),
        "meters": dict(sorted(meters.items(), key=lambda item: -item[1])),
    }


def _quantiles(values: np.ndarray[Any, Any]) -> dict[str, float]:
    if not len(values):
        return {}
    names = {"min": 0.0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1.0}
    return {name: round(float(np.quantile(values, q)), 2) for name, q in names.items()}
