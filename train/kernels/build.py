"""Compiles the kernels for this machine when they are first needed, and keeps what came out.

The processor's library is compiled with -march=native, the GPU's for the compute capability that
the driver reports. They are kept in `cache_folder()`, under a hash of the sources, the flags, the
compiler and the processor, so a new compiler or another machine with the same home folder compiles
anew. RWKV_MUSIC_KERNELS=torch leaves everything to PyTorch.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from rwkv_music.atomic_file import replacing

from ..build_tools import banner, cpp_compiler, find, find_nvcc, scripts_first
from ..visual_studio import take_environment

VARIABLE = "RWKV_MUSIC_KERNELS"
OLDEST = 80  # the compute capability from which on tensor cores take TF32
SOURCES = Path(__file__).parent / "csrc"
_log = logging.getLogger(__name__)
_version = cache(banner)  # it does not change while we run


class BuildError(Exception):
    """Why the kernels cannot be compiled here; says what is missing."""


@dataclass(frozen=True)
class Recipe:
    """What a library is made of: files of `csrc`, and flags for the C++ compiler and for nvcc."""

    name: str
    files: tuple[str, ...]
    flags: tuple[str, ...]
    nvcc_flags: tuple[str, ...] = ()


def absence(device_type: str) -> str:
    """Why the kernels for "cpu" or "cuda" cannot be had; empty where they can.

    The first call compiles them where that was not done before (half a minute for a processor),
    and says so; when they cannot be compiled it says why. Later calls remember."""
    return _absence(device_type)


# torch.compile asks while it traces, and takes the answer for good.
absence = torch.compiler.assume_constant_result(absence)


@cache
def _absence(device_type: str) -> str:
    if device_type not in ("cpu", "cuda"):
        return f"there are no kernels for {device_type}"
    chosen = os.environ.get(VARIABLE, "")
    if chosen == "torch":
        return f"{VARIABLE}=torch"
    if chosen:
        raise ValueError(f"{VARIABLE}: got {chosen!r}, expected torch or nothing")
    try:
        load(recipe(device_type))
    except (BuildError, OSError) as error:
        _log.warning("wkv7: plain PyTorch does it, several times slower: %s", error)
        return str(error)
    return ""


def recipe(device_type: str) -> Recipe:
    """What is compiled for this machine's processor or GPUs. Raises BuildError."""
    if device_type == "cpu":
        return Recipe("wkv7_cpu", _sources("cpu"), _cpp_flags())
    capabilities = {torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())}
    return cuda_recipe(sorted(10 * major + minor for major, minor in capabilities))


def cuda_recipe(capabilities: Sequence[int]) -> Recipe:
    """What is compiled for GPUs of these compute capabilities: 90 is 9.0. Raises BuildError."""
    if not capabilities:
        raise BuildError("torch sees no NVIDIA GPU")
    if min(capabilities) < OLDEST:
        raise BuildError(f"a GPU of compute capability {min(capabilities) / 10}, expected 8.0")
    # One PTX for all: nothing in the kernels is newer than the oldest.
    codes = ",".join(f"sm_{c}" for c in capabilities)
    nvcc_flags = ("-O3", "-std=c++17", f"-gencode=arch=compute_{OLDEST},code=[{codes}]")
    return Recipe("wkv7_cuda", _sources("cuda"), ("-O2", "-DUSE_CUDA"), nvcc_flags)


def load(wanted: Recipe) -> None:
    """Loads a library, from the cache or compiled now. Raises BuildError, OSError."""
    path = library_path(wanted)
    if path.exists():
        torch.ops.load_library(str(path))
        return
    if missing := what_is_missing(wanted):
        raise BuildError(f"{wanted.name} cannot be compiled: {'; '.join(missing)}")
    _log.warning("wkv7: compiling the kernels for this machine, once (into %s)", path.parent)
    with _scripts_on_path():
        _compile_and_load(wanted, path)


def library_path(wanted: Recipe) -> Path:
    """Where a library is kept once it is compiled."""
    suffix = ".dll" if sys.platform == "win32" else ".so"
    return cache_folder() / f"{wanted.name}-{fingerprint(wanted)}{suffix}"


def what_is_missing(wanted: Recipe) -> list[str]:
    """What a library cannot be compiled without, and how to get it. On Windows this process has the
    compiler's environment afterwards, if there is one."""
    missing = _missing_compiler()
    if not find("ninja"):
        missing.append("no ninja: pip install ninja")
    if wanted.nvcc_flags and not find_nvcc():
        missing.append(f"no nvcc: install the CUDA toolkit {torch.version.cuda}, or set CUDA_HOME")
    return missing


def cache_folder() -> Path:
    """Where compiled kernels are kept: below $XDG_CACHE_HOME, or what the system has for it."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rwkv-music" / "kernels"


def fingerprint(wanted: Recipe) -> str:
    """Differs when a source, a flag, a compiler, the processor or torch does."""
    digest = hashlib.sha256()
    for path in sorted([*SOURCES.glob("*.h"), *(SOURCES / name for name in wanted.files)]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    parts = [wanted.name, *wanted.flags, "", *wanted.nvcc_flags, torch.__version__, _processor()]
    parts.append(_version(*cpp_compiler(system=sys.platform).split()))
    if wanted.nvcc_flags:
        parts.append(_version(find_nvcc() or "nvcc"))
    digest.update("\0".join(parts).encode())
    return digest.hexdigest()[:16]


def _sources(device: str) -> tuple[str, ...]:
    suffixes = {".cpp", ".cu"}
    found = (p.name for p in SOURCES.iterdir() if p.suffix in suffixes)
    return tuple(sorted(n for n in found if n.partition(".")[0].split("_")[-1] == device))


def _cpp_flags() -> tuple[str, ...]:
    if sys.platform == "win32":
        return ("/O2", "/arch:AVX2", "/EHsc")
    native = (
        "-march=native" if platform.machine().lower() in ("x86_64", "amd64") else "-mcpu=native"
    )
    return ("-O3", native, "-ffp-contract=fast", "-fno-math-errno")


def _missing_compiler() -> list[str]:
    if sys.platform == "win32" and not os.environ.get("CXX"):
        taken = take_environment()
        return [] if taken.ready else [f"no C++ compiler ({taken.what}): {taken.remedy}"]
    command = cpp_compiler(system=sys.platform)
    if shutil.which(command.split()[0]):
        return []
    return [f"no C++ compiler ({command}): install g++ or clang++, or set CXX"]


def _compile_and_load(wanted: Recipe, path: Path) -> None:
    from torch.utils import cpp_extension  # takes a second to import

    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own and one move at the end: whoever is stopped here leaves no half a file
    # and no lock behind, and several processes may do it at once.
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix="building-", ignore_cleanup_errors=True
    ) as folder:
        try:
            built = cpp_extension.load(
                wanted.name,
                [str(SOURCES / name) for name in wanted.files],
                extra_cflags=list(wanted.flags),
                extra_cuda_cflags=list(wanted.nvcc_flags),
                build_directory=folder,
                is_python_module=False,
            )
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise BuildError(f"{wanted.name} does not compile: {error}") from error
        with replacing(path) as kept:
            shutil.copy(str(built), kept)


@contextlib.contextmanager
def _scripts_on_path() -> Iterator[None]:
    """A virtual environment that was not activated still has its ninja."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = scripts_first(os.environ)
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
