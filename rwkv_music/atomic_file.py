"""Writing a file as a whole or not at all: whoever looks sees the old one or the new one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ABANDONED_S = 3600  # a part that was last written to so long before another is nobody's


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends well, and is
    removed when it does not. What processes that crashed have left there is removed: of this number
    before, of others afterwards, if it is an hour older than the new file.
    Only a file gives way: a device or a folder stays. Raises OSError."""
    target = Path(path)
    if target.exists() and not target.is_file():
        raise OSError(errno.EEXIST, "it is there already, and no file", str(target))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        os.replace(part, target)
        with suppress(OSError):  # what is written is written
            _remove_abandoned(target)
    finally:
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have what was written to a file on the disk. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove_abandoned(target: Path) -> None:
    beginning, oldest_s = f".{target.name}.", target.stat().st_mtime - ABANDONED_S
    for path in target.parent.glob("*.part"):
        if path.name.startswith(beginning) and path.lstat().st_mtime < oldest_s:
            path.unlink(missing_ok=True)
