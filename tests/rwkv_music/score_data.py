"""The training scores, where they are to be had: a sample in every test run, all on request.

RWKV_MUSIC_DATA names the unpacked folder; otherwise the archive beside the project is read. With
RWKV_MUSIC_ALL_DATA set, the tests run over every file.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

SAMPLE = 36
T = TypeVar("T")
_ARCHIVE = Path(__file__).parents[3] / "shared" / "data" / "piano_scores.tar.xz"


def missing() -> str | None:
    """Why there are no scores, or None when there are."""
    folder = os.environ.get("RWKV_MUSIC_DATA")
    if folder:
        return None if Path(folder).is_dir() else f"RWKV_MUSIC_DATA: no folder {folder}"
    return None if _ARCHIVE.is_file() else f"no RWKV_MUSIC_DATA and no {_ARCHIVE}"


def scores() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the scores: a sample spread evenly over all sets, or all."""
    folder = os.environ.get("RWKV_MUSIC_DATA")
    if folder:
        files = sorted(Path(folder).rglob("*.mid"))
        yield from ((str(file.relative_to(folder)), file.read_bytes()) for file in _chosen(files))
        return
    with tarfile.open(_ARCHIVE) as archive:
        members = [m for m in archive.getmembers() if m.isfile() and m.name.endswith(".mid")]
        for member in _chosen(members):
            file = archive.extractfile(member)
            if file is not None:
                yield member.name, file.read()


def _chosen(files: list[T]) -> list[T]:
    return files if os.environ.get("RWKV_MUSIC_ALL_DATA") else files[:: len(files) // SAMPLE or 1]
