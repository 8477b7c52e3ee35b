"""Dependencies run one way, heavy packages stay where they belong, and pure is pure."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import source_tree
from source_tree import ROOT, imports, module_name, sources

CORE = {  # these have to be pure; whoever else says so of itself is held to it as well
    "assembler",
    "completion",
    "conductor",
    "control",
    "messages",
    "midi_map",
    "parameters",
    "performer",
    "planner",
    "scheduler",
    "worker",
    "osc.announcements",
    "osc.arguments",
    "osc.encoding",
    "osc.positions",
    "osc.requests",
    "osc.subscribers",
    "osc.table",
}
_CLAIM = re.compile(r"\bPure[.:]")
_IMPURE = {
    "time",
    "datetime",
    "threading",
    "socket",
    "select",
    "selectors",
    "subprocess",
    "asyncio",
}
# A bundle's time tag is a time of day, so the framing may look at it.
_ALLOWED = {"rwkv_music_daemon.osc.framing"}


def roots_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("rwkv_music", {"rwkv_music_daemon", "rwkv_music_train", "daemon", "train"}),
        ("daemon", {"rwkv_music_train", "train"}),
        ("train", {"rwkv_music_daemon", "daemon"}),
        ("bridge_scripts", set(source_tree.PACKAGES.values())),
    ],
)
def test_dependencies_run_one_way(folder: str, strangers: set[str]) -> None:
    found = {path.name: roots_of(path) & strangers for path in sources(folder)}
    assert not {name: names for name, names in found.items() if names}


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("torch", ("train/", "rwkv_music/engine/torch_", "tests/", "benchmarks/")),
        ("triton", ("train/", "rwkv_music/engine/torch_")),
        ("miditok", ("train/", "tests/", "benchmarks/")),
        ("pytest", ("tests/",)),
        ("hypothesis", ("tests/",)),
    ],
)
def test_heavy_packages_stay_where_they_belong(package: str, homes: tuple[str, ...]) -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for path in source_tree.project_files(".py")
        if package in roots_of(path)
    ]
    assert [user for user in users if not user.startswith(homes)] == []


def pure_modules() -> dict[str, Path]:
    """The daemon's modules that are to be told the time, by their names below the package."""
    found: dict[str, Path] = {}
    for path in sources("daemon"):
        name = module_name(path).partition(".")[2]
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if name in CORE or name.startswith("transport") or _CLAIM.search(docstring):
            found[name] = path
    return found


def test_the_core_is_there() -> None:
    assert pure_modules().keys() >= CORE


def test_pure_modules_are_told_the_time_and_wait_for_nothing() -> None:
    impure = {module_name(path) for path in sources("daemon") if roots_of(path) & _IMPURE}
    impure -= _ALLOWED
    for name, path in pure_modules().items():
        used = set(imports(path)) & impure
        assert module_name(path) not in impure, f"{name} imports {roots_of(path) & _IMPURE}"
        assert not used, f"{name} leans on {used}, which are not pure"


def test_the_library_knows_no_clock_and_no_socket() -> None:
    isolated = "midi_isolated.py"  # gives a child process a deadline
    found = {path.name: roots_of(path) & _IMPURE for path in sources("rwkv_music")}
    assert {name for name, impure in found.items() if impure} <= {isolated}


def loaded_after(statement: str) -> set[str]:
    """The top-level packages that are loaded after a statement in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("process", "not_loaded"),
    [
        ("cli", {"torch", "miditok", "numpy", "rtmidi", "symusic", "matplotlib"}),
        ("supervisor", {"torch", "miditok", "numpy", "symusic", "matplotlib"}),
        ("io_process", {"torch", "miditok", "numpy", "symusic", "matplotlib"}),
        ("worker_process", {"torch", "miditok", "rtmidi", "symusic", "matplotlib"}),
        ("commands.demo", {"torch", "miditok", "matplotlib"}),
    ],
)
def test_a_process_loads_only_what_it_works_with(process: str, not_loaded: set[str]) -> None:
    loaded = loaded_after(f"import rwkv_music_daemon.{process}")
    assert "rwkv_music_daemon" in loaded
    assert not loaded & not_loaded


def test_the_embedded_model_runs_without_torch() -> None:
    statement = (
        "from rwkv_music.model import load_model\n"
        "model = load_model()\n"
        "model.open_bar(model.start(), __import__('rwkv_music.music').music.Meter(), 120.0)"
    )
    assert not loaded_after(statement) & {"torch", "miditok", "symusic"}
