"""What is missing is said with its remedy; on Windows the compiler's environment is taken in."""

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="training needs rich: pip install .[train]")

from click.testing import CliRunner
from rwkv_music_train.cli import cli
from rwkv_music_train.doctor import State, compiler, examine
from rwkv_music_train.visual_studio import take_environment

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the fakes are shell scripts")


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


@pytest.fixture
def windows(tmp_path):
    """A Program Files with a fake vswhere, a Visual Studio with a fake vcvars, and a fake cmd,
    which runs a batch file as far as ours goes."""
    studio = tmp_path / "Visual Studio" / "2022" / "Build Tools"
    vcvars = studio / "VC" / "Auxiliary" / "Build" / "vcvars64.bat"
    script(
        vcvars,
        "print('banner that nobody wants')\n",
    )
    (studio / "variables").write_text(
        "INCLUDE=C:\\include\nLIB=C:\\lib\nVSCMD_VER=17.9\nPATH=C:\\vc\\bin\nHOME=same\n=C:=C:\\x\n"
    )
    script(
        tmp_path / "Program Files (x86)/Microsoft Visual Studio/Installer/vswhere.exe",
        "import sys\n"
        "assert 'Microsoft.VisualStudio.Component.VC.Tools.x86.x64' in sys.argv\n"
        f"print({str(studio)!r})\n",
    )
    cmd = script(
        tmp_path / "cmd.exe",
        "import re, sys\nfrom pathlib import Path\n"
        "assert sys.argv[1:3] == ['/d', '/c'], sys.argv\n"
        "lines = Path(sys.argv[3]).read_text().splitlines()\n"
        "called = Path(re.match(r'@call \"(.+)\" >nul', lines[0])[1])\n"
        "assert called.name == 'vcvars64.bat' and lines[1] == '@set'\n"
        "print((called.parents[3] / 'variables').read_text(), end='')\n",
    )
    return {
        "ProgramFiles(x86)": str(tmp_path / "Program Files (x86)"),
        "COMSPEC": str(cmd),
        "PATH": str(tmp_path / "empty"),
        "HOME": "same",
    }


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
