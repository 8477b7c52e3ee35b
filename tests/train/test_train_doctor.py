"""What is missing is said with its remedy; on Windows the compiler's environment is taken in."""

import os

import pytest

pytest.importorskip("rich", reason="training needs rich: pip install .[train]")

from click.testing import CliRunner
from fake_windows import script
from rwkv_music_train.build_tools import find_nvcc
from rwkv_music_train.cli import cli
from rwkv_music_train.doctor import State, compiler, examine, examine_torch, kernels, program
from rwkv_music_train.visual_studio import take_environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the fakes are shell scripts")


def test_the_compilers_environment_is_taken_into_the_process(windows):
    taken = take_environment(windows)
    assert taken.ready, taken
    assert "Visual Studio 17.9: took 4 variables" in taken.what
    assert "vcvars64.bat" in taken.what
    assert windows["INCLUDE"] == "C:\\include"
    assert windows["PATH"] == "C:\\vc\\bin"
    assert windows["HOME"] == "same"
    assert compiler("win32", windows).state is State.OK


def test_a_compiler_that_can_be_called_is_left_alone(windows, tmp_path):
    script(tmp_path / "empty" / "cl", "")
    before = dict(windows)
    assert take_environment(windows).ready
    assert windows == before


def test_without_visual_studio_the_remedy_is_said(tmp_path):
    taken = take_environment({"ProgramFiles(x86)": str(tmp_path), "PATH": ""})
    assert not taken.ready
    assert "Build Tools" in taken.remedy


def test_a_visual_studio_without_cpp_is_told_from_none(windows, tmp_path):
    script(
        tmp_path / "Program Files (x86)/Microsoft Visual Studio/Installer/vswhere.exe", "print()\n"
    )
    taken = take_environment(windows)
    assert not taken.ready
    assert "none with a C++ compiler" in taken.what


def test_a_vcvars_that_fails_is_said_and_changes_nothing(windows, tmp_path):
    script(tmp_path / "cmd.exe", "raise SystemExit(1)\n")
    before = dict(windows)
    taken = take_environment(windows)
    assert not taken.ready
    assert "repair" in taken.remedy
    assert windows == before


def test_a_compiler_on_other_systems_is_looked_for_on_the_path(tmp_path):
    """By the name that it is then called by, which $CXX may change."""
    missing = compiler("linux", {"PATH": str(tmp_path)})
    assert missing.state is State.ABSENT
    assert "or set CXX" in missing.remedy
    found = script(tmp_path / "c++", "print('c++ (Debian 12.2.0-14) 12.2.0\\nCopyright 2022')\n")
    assert compiler("linux", {"PATH": str(tmp_path)}).what == f"C++ compiler: {found}, 12.2.0"
    assert compiler("linux", {"PATH": str(tmp_path), "CXX": "clang++ -g"}).state is State.ABSENT


def test_a_version_is_told_where_a_program_tells_it(tmp_path):
    nvcc = script(tmp_path / "bin" / "nvcc", "print('(c) 2005-2025\\nrelease 13.0, V13.0.48')\n")
    assert find_nvcc({"CUDA_HOME": str(tmp_path), "PATH": ""}) == str(nvcc)
    assert program(str(nvcc), "CUDA compiler", "").what == f"CUDA compiler: {nvcc}, 13.0"
    silent = script(tmp_path / "silent", "raise SystemExit(1)\n")
    assert program(str(silent), "ninja", "").what == f"ninja: {silent}"
    assert program(None, "ninja", "pip install ninja").remedy == "pip install ninja"


@pytest.mark.parametrize(
    ("wish", "told"),
    [("", "not compiled yet, which the first run does"), ("torch", "asks for PyTorch")],
)
def test_how_it_stands_with_the_kernels_is_told_and_nothing_compiled(
    tmp_path, monkeypatch, wish, told
):
    pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
    from rwkv_music_train.kernels import build

    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(build, "what_is_missing", lambda wanted: [])
    monkeypatch.setenv(build.VARIABLE, wish)
    assert told in kernels("cpu").what
    monkeypatch.setenv(build.VARIABLE, "")
    monkeypatch.setattr(build, "what_is_missing", lambda wanted: ["no ninja: pip install ninja"])
    finding = kernels("cpu")
    assert finding.state is State.ABSENT
    assert "slower" in finding.what
    assert finding.remedy == "no ninja: pip install ninja"
    build.library_path(build.recipe("cpu")).touch()
    assert kernels("cpu").what == "kernels for this processor: compiled"


def test_everything_is_examined_here():
    findings = [*examine(), *examine_torch()]
    found = {finding.what.split()[0]: finding for finding in findings}
    assert found["PyTorch"].state is State.OK
    assert found["pyarrow"].state is State.OK
    assert all(finding.remedy for finding in findings if finding.state is not State.OK)
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == any(finding.state is State.MISSING for finding in findings)
    assert result.stdout.index("ninja") < result.stdout.index(
        "PyTorch"
    )  # what is quick comes first
    assert result.stderr == "loading PyTorch ...\n"
