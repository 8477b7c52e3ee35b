"""Which MIDI files a data set is made of: folders, files, and lists with ready splits."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rwkv_music.errors import ConfigError

SPLITS = ("train", "valid")
MIDI_SUFFIXES = (".mid", ".midi")
MANIFEST = "manifest.csv"
_SPLIT_NAMES = {"validation": "valid", "val": "valid", "dev": "valid"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: where it is, what it is called in the data set, and the set it belongs to.
    split is empty where nobody has decided: then its content does."""

    file: str
    path: str
    set: str
    split: str = ""


def find_sources(places: Sequence[Path], manifest: Path | None = None) -> list[Source]:
    """The MIDI files that some places hold: a folder with all below it, a file, or a list (.txt)
    with a path a line, relative to the list.

    A manifest (CSV: path, and if you like split and set) stands for all files of a single folder;
    FOLDER/manifest.csv is taken where it is there. Raises ConfigError where nothing is found.
    """
    if len(places) == 1 and places[0].is_dir():
        listed = manifest or places[0] / MANIFEST
        if listed.exists():
            return _unlike(_manifest(listed, places[0]))
    if manifest is not None:
        raise ConfigError(f"{manifest}: a manifest goes with one folder, got {len(places)} places")
    sources = _unlike(source for place in places for source in _at(place, len(places) > 1))
    if not sources:
        raise ConfigError(
            f"{', '.join(map(str, places))}: no MIDI files; expected names that end in .mid or"
            " .midi"
        )
    return sources


def _at(place: Path, several: bool) -> Iterable[Source]:
    if place.is_dir():
        files = sorted(p for p in place.rglob("*") if p.suffix.lower() in MIDI_SUFFIXES)
        for file in files:
            name = file.relative_to(place)
            home = name.parts[0] if len(name.parts) > 1 and not several else place.name
            path = Path(place.name) / name if several else name
            yield Source(str(file), readable(path.as_posix()), readable(home))
    elif place.suffix.lower() in MIDI_SUFFIXES and place.exists():
        yield Source(str(place), readable(place.name), readable(place.parent.name))
    elif place.suffix.lower() == ".txt" and place.exists():
        for line in place.read_text(encoding="utf-8").splitlines():
            if line.strip():
                file = place.parent / line.strip()
                yield Source(str(file), line.strip(), place.stem)
    else:
        raise ConfigError(f"{place}: expected a folder, a MIDI file or a list (.txt), found none")


def readable(text: str) -> str:
    """What speaks of a file, with the bytes of its name that are not UTF-8, as old archives have
    them, as `\\xe9`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _manifest(manifest: Path, folder: Path) -> Iterable[Source]:
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{manifest}: cannot be read: {error}") from error
    if not rows or "path" not in rows[0]:
        raise ConfigError(f"{manifest}: expected a CSV table with a column `path`")
    for row in rows:
        split = (row.get("split") or "").strip()
        split = _SPLIT_NAMES.get(split, split)
        if split and split not in SPLITS:
            raise ConfigError(
                f"{manifest}: {row['path']}: split {split!r}, expected train or valid"
            )
        yield Source(str(folder / row["path"]), row["path"], row.get("set") or "", split)


def _unlike(sources: Iterable[Source]) -> list[Source]:
    """Each file once, and no two of one name."""
    files: set[str] = set()
    names: set[str] = set()
    kept: list[Source] = []
    for source in sources:
        if source.file not in files:
            if source.path in names:
                raise ConfigError(
                    f"{source.path}: two files are called so; name the folder that both are in"
                )
            files.add(source.file)
            names.add(source.path)
            kept.append(source)
    return kept
