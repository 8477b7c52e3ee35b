"""Live 11 runs Python 3.7 and Live 12 runs 3.11: the script keeps to the grammar and the library of
the older one, and is run by each that is installed here."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bridge_service import BridgeService, Composer
from live_bridge import SCRIPT, install

FILES = sorted(SCRIPT.glob("*.py"))
LIBRARY = {  # what is imported, all of it older than Python 3.7
    "__future__": {"annotations"},
    "contextlib": {"suppress"},
    "json": {"loads"},
    "math": {"floor"},
    "pathlib": {"Path"},
    "re": {"compile"},
    "socket": {"socket", "AF_INET", "SOCK_DGRAM", "SOL_SOCKET", "SO_RCVBUF"},
    "struct": {"pack", "unpack_from", "error"},
    "time": {"monotonic"},
    "traceback": {"format_exc"},
    "typing": {"Any", "Callable", "Iterable", "Iterator", "NamedTuple", "Sequence"},
    "Live": {"Base", "Clip", "MidiMap"},
}
# Methods of built-in types that Python 3.7 does not have.
LATER_METHODS = {"removeprefix", "removesuffix", "bit_count", "as_integer_ratio", "readlink"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_grammar_is_that_of_python_3_7(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_newer_than_python_3_7_is_used(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert modules <= set(LIBRARY)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert {alias.name for alias in node.names} <= LIBRARY[node.module or ""]
        elif isinstance(node, ast.Attribute):
            assert node.attr not in LATER_METHODS
            if isinstance(node.value, ast.Name) and node.value.id in modules:
                assert node.attr in LIBRARY[node.value.id]


def pythons() -> dict[str, list[str]]:
    """Version -> command of the interpreters that Live has."""
    found = {"3.11": [sys.executable]} if sys.version_info[:2] == (3, 11) else {}
    managed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in ("3.7", "3.11"):
        program = f"python{version}"
        here = map(str, managed.glob(f"{version}*/bin/{program}"))
        for name in filter(None, (shutil.which(program), *here)):
            if version not in found and reports(name) == version:
                found[version] = [name]
    return found


def reports(name: str) -> str:
    """What an interpreter says that it is; a version manager's stand-in may say nothing."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([name, "-c", code], capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("version", ["3.7", "3.11"])
def test_the_script_runs_on_lives_python(version: str, tmp_path: Path) -> None:
    python = pythons().get(version)
    if python is None:
        pytest.skip(f"python{version} is not installed")
    service = BridgeService(Composer()).serve()
    install(tmp_path, service.server.port)
    rehearsal = Path(__file__).with_name("live_rehearsal.py")
    try:
        done = subprocess.run(
            [*python, "-B", str(rehearsal), str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
    finally:
        service.close()
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["log"] == []
    assert report["shown"][0] == "RWKV Music: connected"
    assert report["shown"][1].startswith("RWKV Music: continues at bar ")
    assert report["written"] == [[0.5, 72, 0.5, 90.0], [3.5, 76, 0.5, 100.0]]
    assert service.named("transport/play") == [()]
