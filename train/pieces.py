"""Prepared pieces on disk: Arrow files, memory-mapped, read without copying tokens.

A split is written in shards, SPLIT-00000.arrow and so on, a row a piece: path, set, tokens
(uint16), bars (int32: offsets of the bars in the tokens, and the end). Their metadata name the
format and the vocabulary. They are plain Arrow IPC files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rwkv_music.atomic_file import replacing
from rwkv_music.errors import ConfigError
from rwkv_music.tokenizer import Vocabulary

FORMAT = "rwkv-music-pieces-1"
ROWS_A_BATCH = 256
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("set", pa.string()),
        ("tokens", pa.list_(pa.uint16())),
        ("bars", pa.list_(pa.int32())),
    ]
)


@dataclass(frozen=True, slots=True)
class Piece:
    """tokens [n]; bars [number of bars + 1]: where each bar starts, and n."""

    path: str
    set: str
    tokens: NDArray[np.uint16]
    bars: NDArray[np.int32]


class PieceWriter:
    """Writes a shard; the file appears under its name when it is closed without an error."""

    def __init__(self, path: Path, vocabulary: Vocabulary) -> None:
        self._place = replacing(path)
        schema = _SCHEMA.with_metadata({"format": FORMAT, "vocabulary_hash": vocabulary.hash})
        self._file = pa.OSFile(str(self._place.__enter__()), "wb")
        self._writer = pa.ipc.new_file(self._file, schema)
        self._rows: list[Piece] = []

    def add(self, piece: Piece) -> None:
        self._rows.append(piece)
        if len(self._rows) == ROWS_A_BATCH:
            self._flush()

    def __enter__(self) -> PieceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._file.close()
        self._place.__exit__(kind, error, trace)

    def _flush(self) -> None:
        if self._rows:
            columns = [
                pa.array([getattr(row, name) for row in self._rows], _SCHEMA.field(name).type)
                for name in _SCHEMA.names
            ]
            self._writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            self._rows.clear()


def shard_path(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:05d}.arrow"


def split_files(folder: Path, split: str) -> list[Path]:
    """The shards of a split in their order, or its one file, `SPLIT.arrow`."""
    whole = folder / f"{split}.arrow"
    return [whole] if whole.exists() else sorted(folder.glob(f"{split}-[0-9]*.arrow"))


def read_split(folder: Path, split: str, vocabulary: Vocabulary) -> list[Piece]:
    """All pieces of a split, as views of memory maps. Raises ConfigError."""
    files = split_files(folder, split)
    if not files:
        raise ConfigError(f"{folder}: no {split} split there; make it with train prepare")
    return [piece for file in files for piece in read_pieces(file, vocabulary)]


def read_pieces(path: Path, vocabulary: Vocabulary) -> list[Piece]:
    """All pieces of a file, as views of the memory map. Raises ConfigError."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
    except (OSError, pa.ArrowInvalid) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); make it with train prepare") from None
    metadata = reader.schema.metadata or {}
    if metadata.get(b"format") != FORMAT.encode():
        raise ConfigError(f"{path}: expected the format {FORMAT}; make it with train prepare")
    if metadata.get(b"vocabulary_hash") != vocabulary.hash.encode():
        raise ConfigError(f"{path}: made with another vocabulary; run train prepare again")
    pieces: list[Piece] = []
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        tokens, token_ends = _flat(batch.column("tokens"))
        bars, bar_ends = _flat(batch.column("bars"))
        for row, (name, home) in enumerate(
            zip(batch.column("path").to_pylist(), batch.column("set").to_pylist(), strict=True)
        ):
            pieces.append(
                Piece(
                    name,
                    home,
                    tokens[token_ends[row] : token_ends[row + 1]],
                    bars[bar_ends[row] : bar_ends[row + 1]],
                )
            )
    return pieces


def _flat(column: Any) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The values of a list column one after another, and where each list starts and ends."""
    return column.values.to_numpy(), column.offsets.to_numpy()
