"""What is missing is said with its remedy; on Windows the compiler's environment is taken in."""

import os

import pytest

pytest.importorskip("rich", reason="training needs rich: pip install .[train]")

from click.testing import CliRunner
from fake_windows import script
from rwkv_music_train.cli import cli
from rwkv_music_train.doctor import State, compiler, examine
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
    assert compiler("linux", {"PATH": str(tmp_path)}).state is State.ABSENT
    found = script(tmp_path / "g++", "")
    finding = compiler("linux", {"PATH": str(tmp_path)})
    assert finding.state is State.OK
    assert str(found) in finding.what


def test_everything_is_examined_here():
    found = {finding.what.split()[0]: finding for finding in examine()}
    assert found["PyTorch"].state is State.OK
    assert found["pyarrow"].state is State.OK
    assert all(finding.remedy for finding in found.values() if finding.state is not State.OK)
    result = CliRunner().invoke(cli, ["doctor"])
    assert "PyTorch" in result.output
