"""A Windows with Visual Studio, as far as finding its compiler goes; the programs are scripts."""

import sys
from pathlib import Path

import pytest


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
