"""Builds the native engine and the client of JACK. Everything else stands in pyproject.toml.

A machine without a C++ compiler still gets a working installation: the extensions are optional.
Without the one the NumPy engine serves, without the other JACK is reached through python-rtmidi.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from runpy import run_path
from typing import Any

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# A universal Python of macOS would build for both processors; the flags below are for one.
if sys.platform == "darwin":
    os.environ.setdefault("ARCHFLAGS", f"-arch {platform.machine()}")
    # Aligned `new` came with 10.14; a Python that was built for an older system would ask for that.
    built_for = str(sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET") or "10.14")
    if tuple(map(int, built_for.split("."))) < (10, 14):
        os.environ.setdefault("MACOSX_DEPLOYMENT_TARGET", "10.14")

SOURCES = Path("rwkv_music/engine/csrc")
JACK_SOURCES = Path("daemon/ports/csrc")
source_stamp: Callable[[Path], int] = run_path("rwkv_music/source_stamp.py")["source_stamp"]
ON_WINDOWS = sysconfig.get_platform().startswith("win")
ARM = ("arm64", "aarch64")
X86 = ("x86_64", "amd64")

# Each instruction set is one file with its own flags; cpu.cpp chooses among them at run time.
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma"]
GNU_FLAGS = {
    "isa_avx512_bf16": [*AVX512, "-mavx512bf16"],
    "isa_avx512_vnni": AVX512,
    "isa_avx2_vnni": ["-mavx2", "-mfma", "-mavxvnni"],
    "isa_avx2": ["-mavx2", "-mfma"],
    "isa_neon_dot": ["-march=armv8.2-a+dotprod"],
}
MSVC_FLAGS = {
    "isa_avx512_bf16": ["/arch:AVX512"],
    "isa_avx512_vnni": ["/arch:AVX512"],
    "isa_avx2_vnni": ["/arch:AVX2", "/D__AVXVNNI__"],
    "isa_avx2": ["/arch:AVX2"],
}


def sources() -> list[str]:
    """All files but those of other processor families."""
    target = platform.machine() if sys.platform == "darwin" else sysconfig.get_platform()
    foreign = set()
    if not target.lower().endswith(X86):
        foreign |= {"isa_avx512_bf16", "isa_avx512_vnni", "isa_avx2_vnni", "isa_avx2"}
    if not target.lower().endswith(ARM):
        foreign |= {"isa_neon_dot", "isa_neon"}
    return [path.as_posix() for path in sorted(SOURCES.glob("*.cpp")) if path.stem not in foreign]


class BuildPerFile(build_ext):
    """Compiles every file with the flags of its instruction set."""

    def build_extensions(self) -> None:
        msvc = self.compiler.compiler_type == "msvc"
        common = ["/std:c++17", "/O2", "/EHsc"] if msvc else ["-std=c++17", "-O3", "-g0"]
        if not msvc:
            # The same sums in every tile need the same instructions: no fusing by the compiler.
            common += ["-ffp-contract=off", "-fvisibility=hidden", "-pthread"]
        own = MSVC_FLAGS if msvc else GNU_FLAGS
        compile_all: Callable[..., list[str]] = self.compiler.compile

        def compile_each(files: list[str], *, extra_postargs: Any = None, **rest: Any) -> list[str]:
            def compile_one(file: str) -> list[str]:
                flags = [*(extra_postargs or []), *common, *own.get(Path(file).stem, [])]
                return compile_all([file], extra_postargs=flags, **rest)

            # MSVC's class finds its tools during the first call, so there is one call at a time.
            with ThreadPoolExecutor(1 if msvc else os.cpu_count()) as pool:
                return list(chain.from_iterable(pool.map(compile_one, files)))

        self.compiler.compile = compile_each
        super().build_extensions()


def extension(name: str, folder: Path, files: list[str]) -> Extension:
    """From these files of a folder, which carries the stamp of them all."""
    return Extension(
        name,
        files,
        include_dirs=[pybind11.get_include()],
        define_macros=[("RWKV_MUSIC_SOURCE_STAMP", f"{source_stamp(folder)}u")],
        depends=[path.as_posix() for path in sorted(folder.iterdir())],
        libraries=["dl"] if sys.platform == "linux" else [],
        extra_link_args=[] if ON_WINDOWS else ["-pthread"],
        optional=True,
    )


def jack_extensions() -> list[Extension]:
    """None for Windows, where the ports are those of loopMIDI."""
    files = [path.as_posix() for path in sorted(JACK_SOURCES.glob("*.cpp"))]
    name = "rwkv_music_daemon.ports._jack"
    return [] if ON_WINDOWS else [extension(name, JACK_SOURCES, files)]


setup(
    ext_modules=[extension("rwkv_music.engine._native", SOURCES, sources()), *jack_extensions()],
    cmdclass={"build_ext": BuildPerFile},
)
