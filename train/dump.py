"""Prepared pieces for other programs: JSON lines, and token files that miditok reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from rwkv_music.errors import RwkvMusicError
from rwkv_music.midi_files import to_score
from rwkv_music.tokenizer import Vocabulary, decode_phrase

from .pieces import Piece
from .text_files import write_text


def write_json_lines(pieces: Iterable[Piece], path: Path, vocabulary: Vocabulary) -> int:
    """A line a piece: path, set, tokens (our ids), names (what the ids mean), bars (offsets).
    The number of pieces."""
    lines = [
        json.dumps(
            {
                "path": piece.path,
                "set": piece.set,
                "tokens": piece.tokens.tolist(),
                "names": [vocabulary.tokens[token] for token in piece.tokens],
                "bars": piece.bars.tolist(),
            },
            ensure_ascii=False,
        )
        for piece in pieces
    ]
    write_text(path, "".join(line + "\n" for line in lines))
    return len(lines)


def write_miditok(pieces: Iterable[Piece], folder: Path) -> int:
    """miditok's own REMI tokens, a JSON file a piece, and the tokenizer that made them.

    `REMI(params=FOLDER/tokenizer.json)` reads the tokenizer, `DatasetJSON` the rest (or
    `load_tokens(path, raw=True)`: a table with the `ids` of one sequence). Tempos have no token in
    it; the notes and bars are the same. The number of pieces.
    """
    from .vocabulary import remi

    tokenizer = remi()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(folder / "tokenizer.json")
    count = 0
    for piece in pieces:
        score = to_score({"Piano": decode_phrase(piece.tokens.tolist())})
        (made,) = tokenizer.encode(score)  # one track, one sequence
        target = folder / Path(piece.path).with_suffix(".json")
        if not target.resolve().is_relative_to(folder.resolve()):
            raise RwkvMusicError(f"{piece.path}: leads out of {folder}; prepare the set again")
        target.parent.mkdir(parents=True, exist_ok=True)
        tokenizer.save_tokens(made, target)
        count += 1
    return count
