"""What training needs or can use: what is there, what is missing, how to get it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from enum import Enum
from importlib import metadata

from .build_tools import banner, cpp_compiler, find, find_nvcc, version_in
from .visual_studio import take_environment

_PACKAGES = {  # what each is for
    "pyarrow": "reads and writes prepared data",
    "rich": "shows progress",
    "tensorboard": "shows runs",
    "matplotlib": "draws piano rolls",
    "miditok": "exports tokens for other programs",
}


class State(Enum):
    """How it stands with one thing."""

    OK = "ok"
    ABSENT = "absent"  # good to have
    MISSING = "missing"  # training cannot do without


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: what it is, how it is, and what to do about it (empty when nothing is)."""

    state: State
    what: str
    remedy: str = ""


def examine(
    system: str = sys.platform, environ: MutableMapping[str, str] = os.environ
) -> Iterator[Finding]:
    """What can be told at once, one finding after the other. On Windows this process has the C++
    compiler's environment afterwards, if there is one."""
    yield Finding(State.OK, f"Python {platform.python_version()} ({sys.executable})")
    yield compiler(system, environ)
    yield program(find_nvcc(environ), "CUDA compiler", "builds the kernels for NVIDIA GPUs")
    yield program(find("ninja", environ), "ninja", "builds kernels: pip install ninja")
    for name, use in _PACKAGES.items():
        yield package(name, use)


def examine_torch() -> Iterator[Finding]:
    """PyTorch, the devices that it finds, and how it stands with the kernels for them. Importing it
    takes seconds, and up to half a minute the first time after the machine was started."""
    try:
        import torch
    except ImportError as error:
        yield Finding(State.MISSING, f"PyTorch: {error}", "pip install 'rwkv-music[train]'")
        return
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "processors only"
    yield Finding(State.OK, f"PyTorch {torch.__version__}, built for {built}")
    yield kernels("cpu")
    if not torch.cuda.is_available():
        remedy = (
            "check the NVIDIA driver with nvidia-smi"
            if torch.version.cuda
            else "with an NVIDIA GPU: install PyTorch with CUDA, see pytorch.org"
        )
        what = f"no GPU; training runs on {os.cpu_count()} cores"
        yield Finding(State.ABSENT, what, remedy)
        return
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        what = f"GPU {number}: {facts.name}, {facts.total_memory / 2**30:.0f} GiB"
        if torch.cuda.is_bf16_supported():
            yield Finding(State.OK, f"{what}, bfloat16")
        else:
            yield Finding(State.ABSENT, f"{what}, no bfloat16", "set run.precision: float32")
    yield kernels("cuda")


def kernels(device_type: str) -> Finding:
    """Whether the kernels of this package are compiled for "cpu" or "cuda", or can be; compiles
    nothing. Needs PyTorch."""
    from .kernels.build import VARIABLE, BuildError, library_path, recipe, what_is_missing

    name = {"cpu": "kernels for this processor", "cuda": "kernels for the GPU"}[device_type]
    if os.environ.get(VARIABLE) == "torch":
        return Finding(State.OK, f"{name}: not used, {VARIABLE}=torch asks for PyTorch")
    slower = f"no {name}: PyTorch does their work, several times slower"
    try:
        wanted = recipe(device_type)
    except BuildError as error:
        return Finding(State.ABSENT, f"{slower} ({error})", "an NVIDIA GPU of 8.0 or newer")
    if library_path(wanted).exists():
        return Finding(State.OK, f"{name}: compiled")
    if missing := what_is_missing(wanted):
        return Finding(State.ABSENT, slower, "; ".join(missing))
    return Finding(State.OK, f"{name}: not compiled yet, which the first run does")


def compiler(system: str, environ: MutableMapping[str, str]) -> Finding:
    """The C++ compiler; on Windows Visual Studio's is made callable."""
    if system == "win32" and not environ.get("CXX"):
        taken = take_environment(environ)
        return Finding(State.OK if taken.ready else State.ABSENT, taken.what, taken.remedy)
    command = cpp_compiler(environ, system)
    path = shutil.which(command.split()[0], path=environ.get("PATH", ""))
    if path is None:
        remedy = "install g++ or clang++, or set CXX: it builds the kernels for processors"
        return Finding(State.ABSENT, f"no C++ compiler ({command})", remedy)
    return Finding(State.OK, f"C++ compiler: {_with_version(path)}")


def program(path: str | None, what: str, use: str) -> Finding:
    """A program by its path, None where it is not there."""
    if path is None:
        return Finding(State.ABSENT, f"no {what}", use)
    return Finding(State.OK, f"{what}: {_with_version(path)}")


def package(name: str, use: str) -> Finding:
    """A package, which is not imported."""
    if importlib.util.find_spec(name) is None:
        return Finding(State.MISSING, f"no {name}, which {use}", "pip install 'rwkv-music[train]'")
    return Finding(State.OK, f"{name} {metadata.version(name)}")


def _with_version(path: str) -> str:
    version = version_in(banner(path))
    return f"{path}, {version}" if version else path
