"""What a model plays on: completions of pieces, beside what their composers wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rwkv_music.completion import continue_phrase
from rwkv_music.engine import native
from rwkv_music.engine.base import Engine
from rwkv_music.errors import ConfigError, MidiFileError
from rwkv_music.midi_files import write_voices
from rwkv_music.model.protocol import MusicModel
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.weights import Weights
from rwkv_music.music import Bar, Phrase
from rwkv_music.pianoroll import draw_piano_roll
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import decode_phrase, load_vocabulary

from .pieces import Piece


@dataclass(frozen=True, slots=True)
class Completion:
    """Bars that were heard, those that follow in the piece, and those that the model made.

    `truth` is empty where nobody knows how it goes on."""

    name: str
    heard: Phrase
    truth: Phrase
    made: Phrase

    def voices(self, which: str) -> dict[str, Phrase]:
        """The context and one continuation of it, as voices that start together."""
        silence = tuple(Bar(bar.meter, bar.tempo_bpm) for bar in self.heard)
        following = self.made if which == "model" else self.truth
        return {"context": self.heard, which: silence + following}


def player_of(weights: Weights) -> MusicModel[Any]:
    """Weights in memory as a model that plays: what the daemon would load from a file of them."""
    vocabulary = load_vocabulary()
    weights.check_vocabulary(vocabulary)
    engine: Engine
    if native.absence():
        from rwkv_music.engine.numpy_engine import NumpyEngine

        engine = NumpyEngine(weights)
    else:
        engine = native.NativeEngine(weights)
    return RwkvMusicModel(engine, vocabulary, weights.source, weights.fingerprint)


def complete_pieces(
    player: MusicModel[Any],
    pieces: Sequence[Piece],
    count: int,
    *,
    context_bars: int = 8,
    bars: int = 8,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Iterator[Completion]:
    """`count` pieces, spread evenly, completed after their first bars. Raises ConfigError where
    none is long enough."""
    long = [piece for piece in pieces if len(piece.bars) > context_bars + bars]
    if not long:
        raise ConfigError(f"no piece has {context_bars + bars} bars; ask for fewer")
    for number, index in enumerate(np.linspace(0, len(long) - 1, count).astype(int)):
        piece = long[index]
        start, border, end = (piece.bars[n] for n in (0, context_bars, context_bars + bars))
        heard = decode_phrase(piece.tokens[start:border].tolist())
        truth = decode_phrase(piece.tokens[border:end].tolist())
        made = continue_phrase(player, heard, bars, sampling, seed=seed + number)
        yield Completion(piece.path, heard, truth, made)


def complete_phrase(
    player: MusicModel[Any],
    name: str,
    heard: Phrase,
    bars: int,
    count: int,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Iterator[Completion]:
    """The same bars completed `count` times, each time another way. Raises MidiFileError where
    nothing was heard."""
    if not heard:
        raise MidiFileError(f"{name}: no notes to continue")
    for number in range(count):
        made = continue_phrase(player, heard, bars, sampling, seed=seed + number)
        yield Completion(name, heard, (), made)


def write_completion(completion: Completion, folder: Path, stem: str) -> list[Path]:
    """The model's and, where it is known, the true continuation as MIDI files and pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for which in ("model", "truth"):
        if which == "truth" and not completion.truth:
            continue
        voices = completion.voices(which)
        midi, picture = folder / f"{stem}.{which}.mid", folder / f"{stem}.{which}.png"
        write_voices(voices, midi)
        draw_piano_roll(voices, picture, title=f"{completion.name}: {which}")
        written += [midi, picture]
    return written
