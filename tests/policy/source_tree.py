"""The project's own source, read and not imported: for the tests of this folder."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"rwkv_music": "rwkv_music", "daemon": "rwkv_music_daemon", "train": "rwkv_music_train"}


@cache
def project_files(*suffixes: str) -> tuple[Path, ...]:
    """What belongs to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / line for line in listed.stdout.splitlines())
    return tuple(p for p in paths if p.is_file() and (not suffixes or p.suffix in suffixes))


def sources(folder: str) -> list[Path]:
    """The Python files under a top-level folder."""
    return [p for p in project_files(".py") if p.is_relative_to(ROOT / folder)]


def module_name(path: Path) -> str:
    """The name that a file of ours is imported by."""
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    parts = [PACKAGES.get(folder, folder), *rest]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, anywhere in it: `from .a import b` in p.q
    gives p.a and p.a.b, for b may be a module."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
