"""A number that stands for the sources of an extension module. setup.py runs this file by itself to
compile the number in; who imports the module compares it with the sources that lie beside it.

An extension outlives the sources that it was made from: after an update without an installation it
would lack what is asked of it, or, worse, do it in an older way. Where the sources are not
installed, it came together with the rest.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from types import ModuleType

BYTES = 8  # the number's


def source_stamp(folder: Path) -> int:
    """Of the names and contents of all files in `folder`; 0 where there are none."""
    files = sorted(path for path in folder.glob("*") if path.suffix in (".cpp", ".h"))
    if not files:
        return 0
    digest = sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return int.from_bytes(digest.digest()[:BYTES], "big")


def staleness(module: ModuleType, sources: Path) -> str:
    """What is wrong with an extension that was built from other sources; empty where nothing is."""
    expected = source_stamp(sources)
    if expected in (0, getattr(module, "SOURCE_STAMP", None)):
        return ""
    return f"{module.__file__} was built from other sources than those in {sources}"
