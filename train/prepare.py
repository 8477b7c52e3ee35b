"""A folder of MIDI files to token files: parallel, split without leakage, every refusal logged."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from rwkv_music.errors import ConfigError, MidiFileError
from rwkv_music.midi_files import ReadOptions, read_phrase
from rwkv_music.tokenizer import encode_bar, load_vocabulary

from .pieces import Piece, PieceWriter
from .workers import surviving_map

SPLITS = ("train", "valid")
MIDI_SUFFIXES = (".mid", ".midi")
FEWEST_BARS = 2
_SPLIT_NAMES = {"validation": "valid", "val": "valid", "dev": "valid"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read. split is empty where nobody has decided: then its content does."""

    path: str
    set: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class _Job:
    source: Source
    folder: str
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came out of a folder, and the files that did not, with their reasons."""

    pieces: Counter[str]
    tokens: Counter[str]
    bars: int
    refused: dict[str, str]


def prepare(
    folder: Path,
    out: Path,
    *,
    manifest: Path | None = None,
    valid_share: float = 0.05,
    leave_out_tracks: Iterable[str] = (),
    workers: int | None = None,
) -> Prepared:
    """Write train.arrow, valid.arrow, refused.csv and statistics.json into `out`.

    Raises ConfigError when there is nothing to read. Files that cannot be used are reported.
    """
    sources = find_sources(folder, manifest)
    options = ReadOptions(frozenset(leave_out_tracks), skip_odd_meters=True)
    jobs = [_Job(source, str(folder), options) for source in sources]
    vocabulary = load_vocabulary()
    done = Prepared(Counter(), Counter(), 0, {})
    bars = 0
    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(PieceWriter(out / f"{split}.arrow", vocabulary))
            for split in SPLITS
        }
        outcomes = surviving_map(_convert, jobs, workers or os.cpu_count() or 1)
        for outcome in track(outcomes, "reading", total=len(jobs)):
            source = outcome.item.source
            if outcome.refused:
                done.refused[source.path] = outcome.refused
                continue
            piece: Piece = outcome.result
            split = source.split or split_by_content(piece, valid_share)
            writers[split].add(piece)
            done.pieces[split] += 1
            done.tokens[split] += len(piece.tokens)
            bars += len(piece.bars) - 1
    result = Prepared(done.pieces, done.tokens, bars, done.refused)
    _report(out, result, vocabulary.hash)
    return result


def find_sources(folder: Path, manifest: Path | None = None) -> list[Source]:
    """The MIDI files of a folder, or those that its manifest (CSV: path, split, set) lists."""
    manifest = manifest or folder / "manifest.csv"
    if manifest.exists():
        return _listed(manifest)
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES)
    if not paths:
        raise ConfigError(f"{folder}: no MIDI files; expected names that end in .mid or .midi")
    relative = [p.relative_to(folder) for p in paths]
    return [Source(p.as_posix(), p.parts[0] if len(p.parts) > 1 else folder.name) for p in relative]


def split_by_content(piece: Piece, valid_share: float) -> str:
    """The same music falls into the same split, whatever its file is called."""
    digest = hashlib.sha256(piece.tokens.tobytes()).digest()
    return "valid" if int.from_bytes(digest[:4], "big") < valid_share * 2**32 else "train"


def _listed(manifest: Path) -> list[Source]:
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "path" not in rows[0]:
        raise ConfigError(f"{manifest}: expected a CSV table with a column `path`")
    sources = []
    for row in rows:
        split = (row.get("split") or "").strip()
        split = _SPLIT_NAMES.get(split, split)
        if split and split not in SPLITS:
            raise ConfigError(
                f"{manifest}: {row['path']}: split {split!r}, expected train or valid"
            )
        sources.append(Source(row["path"], row.get("set") or "", split))
    return sources


def _convert(job: _Job) -> Piece:
    """Read and encode one file; runs in a worker process."""
    phrase = read_phrase(Path(job.folder) / job.source.path, job.options)
    while phrase and not phrase[0].notes:  # silence before the first note is not heard
        phrase = phrase[1:]
    if len(phrase) < FEWEST_BARS:
        raise MidiFileError(f"{len(phrase)} bars with notes, expected at least {FEWEST_BARS}")
    tokens: list[int] = []
    bars = [0]
    for bar in phrase:
        tokens += encode_bar(bar)
        bars.append(len(tokens))
    return Piece(
        job.source.path,
        job.source.set,
        np.array(tokens, np.uint16),
        np.array(bars, np.int32),
    )


def _report(out: Path, result: Prepared, vocabulary_hash: str) -> None:
    with (out / "refused.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("path", "reason"))
        table.writerows(sorted(result.refused.items()))
    facts = {
        "vocabulary_hash": vocabulary_hash,
        "pieces": dict(result.pieces),
        "tokens": dict(result.tokens),
        "bars": result.bars,
        "refused": len(result.refused),
    }
    (out / "statistics.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
