"""What hours of one state cost: the loss after many pieces have been heard without a break, as the
daemon hears them, against that of a fresh state which heard the same last bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rwkv_music.tokenizer import Vocabulary

from .evaluate import Loss, Network, Targets
from .model import LayerState, Rwkv7
from .passages import passages
from .pieces import Piece
from .windows import Window

CHUNK = 1024  # tokens that are heard at once
AGES = (1, 4, 16, 98)  # chunks after which it is measured, as far as is asked for
CONTEXT_BARS, TOLD_BARS = 16, 4


@dataclass(frozen=True, slots=True)
class Age:
    """The loss of passages, told by states that have heard so many tokens before their context,
    and by fresh ones."""

    tokens: int
    old: Loss
    fresh: Loss


def strung_losses(
    model: Rwkv7,
    pieces: Sequence[Piece],
    vocabulary: Vocabulary,
    tokens: int,
    *,
    strings: int = 2,
    probes: int = 24,
    seed: int = 0,
) -> list[Age]:
    """Losses at the AGES up to `tokens`. Each of the `strings` states hears pieces, in an order
    that the seed fixes, one behind the other, without a word that one is over; at every age each
    tells `probes` passages of pieces that it has not heard, after their 16 bars of context.
    """
    rng = np.random.default_rng(seed)
    shuffled = [pieces[i] for i in rng.permutation(len(pieces))]
    places = passages(shuffled, strings * probes, CONTEXT_BARS, TOLD_BARS)
    told = {id(place.piece) for place in places}
    others = [piece for piece in shuffled if id(piece) not in told] or shuffled
    ages = [age * CHUNK for age in AGES if age * CHUNK <= tokens] or [CHUNK]
    tapes_BT = _tapes(others, strings, ages[-1], vocabulary)
    network = Network(model, vocabulary)
    fresh_windows = [place.after(CONTEXT_BARS, vocabulary) for place in places]
    targets = Targets.of(fresh_windows, vocabulary)
    fresh = targets.loss(np.concatenate(network.nats(fresh_windows)), vocabulary)
    windows = [Window(w.tokens[1:], w.first_target - 1) for w in fresh_windows]  # without BOS
    device = next(model.parameters()).device
    states: list[LayerState] | None = None
    found = []
    for start in range(0, ages[-1], CHUNK):
        part_BT = torch.from_numpy(tapes_BT[:, start : start + CHUNK]).to(device)
        with torch.inference_mode():
            _, states = model.hidden(part_BT, states)
        if start + CHUNK in ages:
            old = _told(network, windows, states)
            found.append(Age(start + CHUNK, targets.loss(old, vocabulary), fresh))
    return found


def _told(
    network: Network, windows: Sequence[Window], states: list[LayerState]
) -> NDArray[np.float64]:
    """The nats of all windows; window i begins in row i modulo the rows of the states."""
    strings = len(states[0].wkv_BHNN)
    nats = []
    for first in range(0, len(windows), strings):
        some = windows[first : first + strings]
        rows = [
            LayerState(
                s.att_shift_BC[: len(some)], s.ffn_shift_BC[: len(some)], s.wkv_BHNN[: len(some)]
            )
            for s in states
        ]
        nats += network.nats(some, rows)
    return np.concatenate(nats)


def _tapes(pieces: Sequence[Piece], strings: int, tokens: int, v: Vocabulary) -> NDArray[np.int64]:
    """[strings, tokens]: BOS, and pieces one behind the other, each string from another piece on;
    where they do not suffice, they come again."""
    tapes = np.empty((strings, tokens), np.int64)
    tapes[:, 0] = v.bos
    for string in range(strings):
        number, done = string * len(pieces) // strings, 1
        while done < tokens:
            part = pieces[number % len(pieces)].tokens[: tokens - done]
            tapes[string, done : done + len(part)] = part
            number, done = number + 1, done + len(part)
    return tapes
