"""Small pieces and small runs for the tests of the train package."""

import numpy as np

from rwkv_music.music import Bar, Meter, Note, cut_overlaps
from rwkv_music.tokenizer import encode_bar, load_vocabulary

PITCHES = (48, 52, 55, 60, 64, 67, 72)


def phrase(seed, bars=12, meter="4/4"):
    """Chords on the beats and single notes between them, a little different in each bar."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(bars):
        steps = Meter.parse(meter).steps
        notes = [Note(s, PITCHES[s // 12 % 3], 60, 12) for s in range(0, steps, 12)]
        notes += [
            Note(s, int(rng.choice(PITCHES[3:])), 80, int(rng.integers(1, 9)))
            for s in range(0, steps, 6)
        ]
        made.append(Bar(Meter.parse(meter), 120.0, tuple(sorted(set(notes)))))
    return cut_overlaps(made)


def piece(seed, bars=12, meter="4/4"):
    from rwkv_music_train.pieces import Piece

    tokens, offsets = [], [0]
    for bar in phrase(seed, bars, meter):
        tokens += encode_bar(bar)
        offsets.append(len(tokens))
    return Piece(f"{seed}.mid", "samples", np.array(tokens, np.uint16), np.array(offsets, np.int32))


def prepared(folder, train=4, valid=1, bars=12):
    """A folder as `train prepare` writes it."""
    from rwkv_music_train.pieces import PieceWriter

    for split, seeds in (("train", range(train)), ("valid", range(100, 100 + valid))):
        with PieceWriter(folder / f"{split}.arrow", load_vocabulary()) as writer:
            for seed in seeds:
                writer.add(piece(seed, bars))
    return folder


def tiny_config(data, run, *overrides):
    from rwkv_music_train.config import read_config

    settings = (
        f"data.folder={data}",
        f"run.folder={run}",
        "model.layers=2",
        "model.width=64",
        "data.windows.length=128",
        "run.batch=2",
        "run.save_every=1000",
        "run.validate_every=1000",
        "run.validation_windows=2",
        "run.log_every=1",
        "optimiser.warmup_steps=2",
    )
    return read_config(None, (*settings, *overrides))
