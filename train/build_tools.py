"""The programs that compile kernels: where each is, and its version. Needs no PyTorch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping

_VERSION = re.compile(r"release [\d.]*\d|\d+\.\d+(\.\d+)*")  # nvcc's copyright comes before
_LIMIT_S = 20.0


def cpp_compiler(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> str:
    """The command that compiles C++: $CXX, or the system's."""
    return environ.get("CXX") or ("cl" if system == "win32" else "c++")


def find_nvcc(environ: Mapping[str, str] = os.environ) -> str | None:
    """CUDA's compiler: that of $CUDA_HOME or $CUDA_PATH where one is named, else on the path."""
    home = environ.get("CUDA_HOME") or environ.get("CUDA_PATH")
    return shutil.which("nvcc", path=f"{home}/bin") if home else find("nvcc", environ)


def find(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """A program on the path, or among the scripts of this Python's environment, which has them
    even where nobody activated it."""
    return shutil.which(name, path=scripts_first(environ))


def scripts_first(environ: Mapping[str, str]) -> str:
    """The path with this Python's scripts before all others."""
    return os.pathsep.join([sysconfig.get_path("scripts"), environ.get("PATH", "")])


def banner(*command: str) -> str:
    """What a program says of itself; empty where it does not run."""
    try:
        done = subprocess.run(
            [*command, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def version_in(text: str) -> str:
    """The version that a banner tells, such as 12.2.0; empty where there is none."""
    found = _VERSION.search(text)
    return found[0].removeprefix("release ") if found else ""
