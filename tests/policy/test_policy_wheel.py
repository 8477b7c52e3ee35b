"""What is shipped: three packages under their own names, their data, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from source_tree import PACKAGES, ROOT, project_files, sources

SCRIPTS = "rwkv_music_daemon/bridge_scripts/"  # run inside DAWs: data here
DATA = {
    "rwkv_music/tokenizer/vocabulary.json",
    "rwkv_music/data/starter.safetensors",
    *(f"rwkv_music/data/memories/{name}.safetensors" for name in ("classical", "pop", "song")),
    "rwkv_music_train/recipes/starter.yaml",
    "rwkv_music_daemon/data/demo.mid",
    "rwkv_music_daemon/monitor/page.html",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy of the tree, with the setuptools that is installed."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in (*PACKAGES, "bridge_scripts"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):  # without compiling anything
        shutil.copy(ROOT / file, tree)
    target = tmp_path_factory.mktemp("wheel")
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(target)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = target.glob("*.whl")
    return zipfile.ZipFile(file)


def shipped(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_every_module_is_shipped_under_its_package_and_nothing_beside_them(
    wheel: zipfile.ZipFile,
) -> None:
    modules = {
        (Path(package) / path.relative_to(ROOT / folder)).as_posix()
        for folder, package in PACKAGES.items()
        for path in sources(folder)
    }
    python = {name for name in shipped(wheel) if name.endswith(".py")}
    assert {name for name in python if not name.startswith(SCRIPTS)} == modules
    assert {name.partition("/")[0] for name in shipped(wheel)} == set(PACKAGES.values())


def test_the_data_are_shipped(wheel: zipfile.ZipFile) -> None:
    assert shipped(wheel) >= DATA
    for name in DATA:
        assert wheel.getinfo(name).file_size > 0


def test_the_sources_of_the_kernels_are_shipped(wheel: zipfile.ZipFile) -> None:
    sources = ROOT / "train" / "kernels" / "csrc"
    ours = {
        f"rwkv_music_train/kernels/csrc/{path.name}"
        for path in project_files()
        if path.is_relative_to(sources)
    }
    assert ours
    assert {name for name in shipped(wheel) if "/kernels/csrc/" in name} == ours


def test_the_scripts_of_the_bridges_are_shipped(wheel: zipfile.ZipFile) -> None:
    scripts = ROOT / "bridge_scripts"
    ours = {
        SCRIPTS + path.relative_to(scripts).as_posix()
        for path in project_files()
        if path.is_relative_to(scripts) and path.suffix != ".toml"
    }
    assert {name for name in shipped(wheel) if name.startswith(SCRIPTS)} == ours


def test_no_tests_are_shipped(wheel: zipfile.ZipFile) -> None:
    names = [name.rpartition("/")[2] for name in shipped(wheel)]
    assert not [n for n in names if n.startswith(("test_", "conftest"))]


def test_commands_and_a_small_installation_are_promised(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    commands = wheel.read(f"{info}/entry_points.txt").decode()
    for line in (
        "rwkv-music-daemon = rwkv_music_daemon.cli:main",
        "train = rwkv_music_train.cli:main",
        "rwkv-music-train = rwkv_music_train.cli:main",
    ):
        assert line in commands
    metadata = wheel.read(f"{info}/METADATA").decode()
    needed = [
        line.removeprefix("Requires-Dist: ")
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    assert needed
    assert not [line for line in needed if line.startswith(("torch", "miditok", "matplotlib"))]
    extras = {
        line.split()[-1] for line in metadata.splitlines() if line.startswith("Provides-Extra")
    }
    assert extras == {"train", "gpu", "plot", "monitor", "link", "test", "dev"}
