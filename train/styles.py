"""Named memories that come with a model: a manner each, learnt from the pieces of some sets.

Each is a state that was learnt with the model frozen (see `personalize`), so it holds no
piece, only what makes the model expect music of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from rwkv_music.errors import ConfigError
from rwkv_music.model.weights import Weights
from rwkv_music.tokenizer import Vocabulary, load_vocabulary

from .model import Rwkv7
from .personalize import FEWEST_TO_CHECK, TuneOptions, loss_from, tune_state, write_memory
from .pieces import Piece, read_split
from .report import Table
from .weights import model_of
from .windows import Window, validation_windows

STYLES: Mapping[str, tuple[str, ...]] = {
    "pop": ("pop909",),
    "classical": ("chopin_first_editions", "mutopia_piano", "polish_scores"),
    "song": ("openscore_lieder",),
}
TUNING = TuneOptions()
MOST_PIECES = 300
_COMPARED = 24  # windows of each style

Progress = Callable[[str], None]


def make_memories(
    weights: Weights,
    data: Path,
    folder: Path,
    options: TuneOptions = TUNING,
    say: Progress = lambda text: None,
) -> list[Table]:
    """Write the memory of every style of which the data have pieces, and compare them on the
    beginnings of validation pieces. A style that has no piece, or in which the pieces do not
    help each other is left out, and `say` is told why."""
    vocabulary = load_vocabulary()
    train, valid = (read_split(data, split, vocabulary) for split in ("train", "valid"))
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Tensor]] = {}
    for name, sets in STYLES.items():
        pieces = [piece for piece in train if piece.set in sets]
        path = folder / f"{name}.safetensors"
        if len(pieces) < FEWEST_TO_CHECK:
            say(f"{name}: left out, there are {len(pieces)} pieces of {', '.join(sets)}")
            continue
        chosen = _drawn(pieces, MOST_PIECES, options.seed)
        try:
            tuned = tune_state(weights, chosen, options)
        except ConfigError as error:
            path.unlink(missing_ok=True)
            say(f"{name}: left out, {error}")
            continue
        found[name] = tuned.states
        about = f"tuned on {len(chosen)} pieces of {', '.join(sets)}"
        facts = {
            "made_by": "train memories",
            "about": about,
            "share": tuned.share,
            "steps": tuned.steps,
        }
        write_memory(path, weights, found[name], facts)
        say(f"{path}: {about}")
    return [_compared(model_of(weights).eval(), found, valid, vocabulary)] if found else []


def _compared(
    model: Rwkv7, found: Mapping[str, list[Tensor]], valid: Sequence[Piece], v: Vocabulary
) -> Table:
    """The loss of each style's beginnings from each memory, and from none."""
    windows: dict[str, list[Window]] = {}
    for name in found:
        pieces = [piece for piece in valid if piece.set in STYLES[name]]
        beginnings = [validation_windows([piece], v, TUNING.length, 0, 1)[0] for piece in pieces]
        places = np.linspace(0, len(beginnings) - 1, min(_COMPARED, len(beginnings)))
        windows[name] = [beginnings[i] for i in places.astype(int)]
    starts: dict[str, list[Tensor] | None] = {"none": None, **found}
    rows = [
        (memory, *(f"{loss_from(model, some, states)[0]:.4f}" for some in windows.values()))
        for memory, states in starts.items()
    ]
    about = (
        "The memories that come with it: nats a target of the beginnings of up to"
        f" {_COMPARED} validation pieces of each style ({TUNING.length} tokens), from each of them."
    )
    return Table(about, ("memory", *windows), rows)


def _drawn(pieces: Sequence[Piece], most: int, seed: int) -> list[Piece]:
    order = np.random.default_rng(seed).permutation(len(pieces))
    return [pieces[i] for i in order[:most]]
