"""How our files look: short, finished, and free of the machine that they were written on."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from rwkv_music_daemon.config import Config, load_config
from source_tree import PACKAGES, ROOT, project_files, sources

MOST_LINES = 360
_CODE = (".py", ".cpp", ".cu", ".h", ".lua", ".js", ".sh")
_TEXT = (*_CODE, ".md", ".yaml", ".toml", ".txt", ".json", ".pd", "")
_FOLDERS = (*PACKAGES, "benchmarks", "bridge_scripts", "tests")
# A home folder; `ann` and `you` live in examples.
_MACHINE = re.compile(r"(?<![\w.~])/(?:home/(?!ann\b|you\b)|Users/(?!ann\b|you\b)|root/|work/)\w")
_LEFT_OPEN = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")


def found(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in project_files(*suffixes)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def python_files() -> list[Path]:
    return [path for folder in _FOLDERS for path in sources(folder)]


def test_no_file_is_long() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in project_files(*_CODE)
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_file_names_a_machine() -> None:
    assert found(_MACHINE, *_TEXT) == []


def test_nothing_is_left_open() -> None:
    assert found(_LEFT_OPEN, *_CODE) == []


def test_every_package_file_says_what_it_is_for() -> None:
    empty_is_fine = "__init__.py"
    silent = [
        path.relative_to(ROOT).as_posix()
        for folder in PACKAGES
        for path in sources(folder)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        and path.name != empty_is_fine
    ]
    assert silent == []


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them without their folders, so one would be taken for the other."""
    names = Counter(path.name for path in sources("tests") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_no_drawer_for_everything() -> None:
    drawers = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert [path for path in python_files() if path.name in drawers] == []


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_assertion_handles_an_error_and_no_star_is_imported(folder: str) -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names))
    ]
    assert bad == []


def test_whoever_catches_everything_says_why() -> None:
    broad = re.compile(r"\bexcept(?:\s*|\s+\(?(?:Base)?Exception\b[^:#]*):(?!\s*#\s*\w)")
    assert found(broad, ".py") == []


def test_the_shipped_configuration_is_the_default_one() -> None:
    assert load_config(ROOT / "config.yaml") == Config()
