"""The C++ compiler of Windows: found by vswhere, its environment taken into this process.

`cl` works only in the environment that vcvars64.bat sets up, which is why building from an ordinary
terminal fails. Whoever builds a kernel calls `take_environment` first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

_VSWHERE = ("Microsoft Visual Studio", "Installer", "vswhere.exe")
_VCVARS = ("VC", "Auxiliary", "Build", "vcvars64.bat")
_TOOLS = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
_REMEDY = (
    "install the Build Tools for Visual Studio with the workload `Desktop development with C++`"
)
_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done, or why nothing could be. ready: `cl` can be called now."""

    ready: bool
    what: str
    remedy: str = ""


def take_environment(environ: MutableMapping[str, str] = os.environ) -> Taken:
    """Make `cl` callable from this process, where it is not yet."""
    compiler = shutil.which("cl", path=environ.get("PATH", ""))
    if compiler:
        return Taken(True, f"C++ compiler: {compiler}")
    vswhere = find_vswhere(environ)
    if vswhere is None:
        return Taken(False, "Visual Studio: vswhere.exe is not there", _REMEDY)
    try:
        vcvars = find_vcvars(vswhere)
        if vcvars is None:
            return Taken(
                False, f"Visual Studio: {vswhere} knows of none with a C++ compiler", _REMEDY
            )
        found = environment_after(vcvars, environ)
    except (OSError, subprocess.SubprocessError) as error:
        return Taken(False, f"Visual Studio: {error}", "repair it with the Visual Studio Installer")
    changed = {name: value for name, value in found.items() if environ.get(name) != value}
    if "INCLUDE" not in found or "LIB" not in found:
        return Taken(False, f"{vcvars}: sets up no compiler", "repair the workload with C++")
    environ.update(changed)
    version = found.get("VSCMD_VER", "unknown version")
    return Taken(
        True,
        f"Visual Studio {version}: took {len(changed)} variables from {vcvars} into this process",
    )


def find_vswhere(environ: Mapping[str, str]) -> Path | None:
    """Visual Studio's own finder, which has one place on every system."""
    for variable in ("ProgramFiles(x86)", "ProgramFiles"):
        if variable in environ:
            path = Path(environ[variable], *_VSWHERE)
            if path.is_file():
                return path
    return None


def find_vcvars(vswhere: Path) -> Path | None:
    """vcvars64.bat of the newest Visual Studio, or Build Tools, that can compile C++."""
    asked = [str(vswhere), "-latest", "-products", "*", "-requires", _TOOLS]
    done = subprocess.run(
        [*asked, "-property", "installationPath", "-utf8"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_LIMIT_S,
        check=True,
    )
    for line in done.stdout.splitlines():
        vcvars = Path(line.strip(), *_VCVARS)
        if line.strip() and vcvars.is_file():
            return vcvars
    return None


def environment_after(vcvars: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that a batch file leaves behind. It is called from a batch file of our own,
    so that no quoting of ours has to survive cmd's."""
    with tempfile.TemporaryDirectory() as folder:
        batch = Path(folder) / "environment.bat"
        batch.write_text(f'@call "{vcvars}" >nul || exit /b 1\n@set\n', encoding="utf-8")
        done = subprocess.run(
            [environ.get("COMSPEC", "cmd.exe"), "/d", "/c", str(batch)],
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(environ),
            timeout=_LIMIT_S,
            check=True,
        )
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, equals, value in pairs if equals and name}
