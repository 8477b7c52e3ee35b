"""MIDI files to token files: parallel, in shards, resumable, split without leakage, every refusal
logged."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rwkv_music.errors import MidiFileError
from rwkv_music.midi_files import ReadOptions
from rwkv_music.tokenizer import load_vocabulary

from .data_statistics import statistics_of
from .encoding import encode_file
from .note_table import NoteTable
from .pieces import FORMAT, Piece, PieceWriter, shard_path, split_files
from .sources import SPLITS, Source, find_sources, readable
from .text_files import write_text
from .workers import Outcome, surviving_map

FEWEST_BARS = 2
SHARD_FILES = 1000
_RECORDS = "shards"  # folder of what is known of each finished shard


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """valid_share: of the pieces, where no split is given. leave_out_tracks: names of tracks that
    are not read."""

    valid_share: float = 0.05
    leave_out_tracks: frozenset[str] = frozenset()
    shard_files: int = SHARD_FILES


@dataclass(slots=True)
class Prepared:
    """What came out of some files, and those that did not, with their reasons.

    doubles: pieces whose notes, in whatever key, tempo and loudness, were there before. moved:
    those of them that another split was given for; they went where the first is.
    """

    pieces: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    bars: int = 0
    doubles: int = 0
    moved: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)  # of each content
    reused: int = 0  # files that an earlier run had read

    def add(self, other: Prepared) -> None:
        self.pieces += other.pieces
        self.tokens += other.tokens
        self.bars += other.bars
        self.doubles += other.doubles
        self.moved += other.moved
        self.refused |= other.refused
        self.splits |= other.splits
        self.reused += other.reused


@dataclass(frozen=True, slots=True)
class _Job:
    source: Source
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class _Converted:
    piece: Piece
    content: str


def prepare(
    places: Sequence[Path],
    out: Path,
    options: PrepareOptions | None = None,
    *,
    manifest: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Prepared:
    """Write the shards of both splits, refused.csv and statistics.json into `out`.

    Shards that an earlier run finished, of the same files and options, are kept. `progress` gets
    the number of files that are done, and of all. Raises ConfigError when there is nothing to
    read. Files that cannot be used are reported.
    """
    options = options or PrepareOptions()
    sources = find_sources(places, manifest)
    (out / _RECORDS).mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        (out / f"{split}.arrow").unlink(missing_ok=True)  # the form of earlier versions
    size = options.shard_files
    shards = [sources[first : first + size] for first in range(0, len(sources), size)]
    keys = _keys(shards, options)
    finished = [_finished(out, number, key) for number, key in enumerate(keys)]
    wanted = read_options(options)
    jobs = [
        _Job(source, wanted)
        for shard, done in zip(shards, finished, strict=True)
        for source in shard
        if done is None
    ]
    outcomes = surviving_map(_convert, jobs, workers or os.cpu_count() or 1)
    total = Prepared()
    with closing(outcomes):
        for number, (shard, key) in enumerate(zip(shards, keys, strict=True)):
            before = number * size
            done = finished[number]
            if done is None:
                read = _counted(islice(outcomes, len(shard)), before, len(sources), progress)
                done = _make_shard(out, number, read, options, total.splits)
                _write_record(out, number, key, done)
            total.add(done)
            progress(before + len(shard), len(sources))
    _remove_others(out, len(shards))
    _report(out, total)
    return total


def _counted(
    outcomes: Iterable[Outcome], before: int, total: int, progress: Callable[[int, int], None]
) -> Iterator[Outcome]:
    for count, outcome in enumerate(outcomes, 1):
        progress(before + count, total)
        yield outcome


def read_all(
    places: Sequence[Path], options: PrepareOptions, workers: int = 1
) -> tuple[list[Piece], dict[str, str]]:
    """The pieces of a few files, and why others are not among them."""
    jobs = [_Job(source, read_options(options)) for source in find_sources(places)]
    outcomes = list(surviving_map(_convert, jobs, workers))
    refused = {o.item.source.path: readable(o.refused) for o in outcomes if o.refused}
    return [o.result.piece for o in outcomes if not o.refused], refused


def convert(source: Source, options: ReadOptions) -> Piece:
    """Read and encode one file. Raises MidiFileError."""
    made = encode_file(source.file, options)
    bars = len(made.bars) - 1
    if bars < FEWEST_BARS:
        raise MidiFileError(f"{bars} bars with notes, expected at least {FEWEST_BARS}")
    return Piece(source.path, source.set, made.tokens.astype(np.uint16), made.bars.astype(np.int32))


def read_options(options: PrepareOptions) -> ReadOptions:
    return ReadOptions(options.leave_out_tracks, skip_odd_meters=True)


def content_of(piece: Piece) -> str:
    """The same for the same notes, whatever their key, tempo and loudness."""
    table = NoteTable(piece.tokens.astype(np.int64), load_vocabulary())
    moves = np.stack([np.diff(table.line + table.onset), np.diff(table.pitch)])
    return hashlib.sha256(moves.astype("<i4").tobytes()).hexdigest()


def split_by_content(content: str, valid_share: float) -> str:
    """The same music falls into the same split, whatever its file is called."""
    return "valid" if int(content[:8], 16) < valid_share * 2**32 else "train"


def _convert(job: _Job) -> _Converted:
    """Runs in a worker process."""
    piece = convert(job.source, job.options)
    return _Converted(piece, content_of(piece))


def _make_shard(
    out: Path,
    number: int,
    outcomes: Iterable[Outcome],
    options: PrepareOptions,
    known: dict[str, str],
) -> Prepared:
    done = Prepared()
    vocabulary = load_vocabulary()
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(PieceWriter(shard_path(out, split, number), vocabulary))
            for split in SPLITS
        }
        for outcome in outcomes:
            source: Source = outcome.item.source
            if outcome.refused:
                done.refused[source.path] = readable(outcome.refused)
                continue
            made: _Converted = outcome.result
            split = source.split or split_by_content(made.content, options.valid_share)
            first = done.splits.get(made.content) or known.get(made.content)
            done.doubles += first is not None
            done.moved += first is not None and first != split
            split = first or split
            done.splits[made.content] = split
            writers[split].add(made.piece)
            done.pieces[split] += 1
            done.tokens[split] += len(made.piece.tokens)
            done.bars += len(made.piece.bars) - 1
    return done


def _keys(shards: Iterable[Sequence[Source]], options: PrepareOptions) -> list[str]:
    """For each shard what changes with everything that it depends on, the shards before it among
    that: a double goes where the first of its kind went."""
    digest = hashlib.sha256()
    digest.update(f"{FORMAT} {load_vocabulary().hash} {options.valid_share}".encode())
    digest.update(json.dumps(sorted(options.leave_out_tracks)).encode())
    keys = []
    for shard in shards:
        for source in shard:
            try:
                found = os.stat(source.file)
                state: tuple[int, ...] = (found.st_size, found.st_mtime_ns)
            except OSError:
                state = ()
            digest.update(json.dumps([asdict(source), state]).encode())
        keys.append(digest.hexdigest())
    return keys


def _record(out: Path, number: int) -> Path:
    return out / _RECORDS / f"{number:05d}.json"


def _finished(out: Path, number: int, key: str) -> Prepared | None:
    """What an earlier run knew of this shard, if it finished it and nothing has changed."""
    try:
        table: dict[str, Any] = json.loads(_record(out, number).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if table.pop("key", None) != key:
        return None
    if not all(shard_path(out, split, number).exists() for split in SPLITS):
        return None
    for name in ("pieces", "tokens"):
        table[name] = Counter(table[name])
    done = Prepared(**table)
    done.reused = sum(done.pieces.values()) + len(done.refused)
    return done


def _write_record(out: Path, number: int, key: str, done: Prepared) -> None:
    """Comes last: a shard without it is made again."""
    table = {"key": key, **{one.name: getattr(done, one.name) for one in fields(done)}}
    write_text(_record(out, number), json.dumps(table) + "\n")


def _remove_others(out: Path, shards: int) -> None:
    """Shards of an earlier, larger set."""
    wanted = {_record(out, number) for number in range(shards)}
    wanted |= {shard_path(out, split, n) for split in SPLITS for n in range(shards)}
    there = [*(out / _RECORDS).glob("*.json")]
    for split in SPLITS:
        there += split_files(out, split)
    for path in there:
        if path not in wanted:
            path.unlink()


def _report(out: Path, total: Prepared) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("path", "reason"))
    writer.writerows(sorted(total.refused.items()))
    write_text(out / "refused.csv", table.getvalue())
    facts = {
        "vocabulary_hash": load_vocabulary().hash,
        "pieces": dict(total.pieces),
        "tokens": dict(total.tokens),
        "bars": total.bars,
        "doubles": total.doubles,
        "moved": total.moved,
        "refused": len(total.refused),
        **statistics_of(out),
    }
    write_text(out / "statistics.json", json.dumps(facts, indent=1) + "\n")
