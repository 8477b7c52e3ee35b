"""Writing a file as a whole or not at all: whoever looks sees the old one or the new one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place when the block ends well, and is
    removed when it does not. What was left there by a process that crashed is removed first.
    Only a file gives way: a device or a folder stays. Raises OSError."""
    target = Path(path)
    if target.exists() and not target.is_file():
        raise OSError(errno.EEXIST, "it is there already, and no file", str(target))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
