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
    """One finding after the other; importing PyTorch takes a moment. On Windows this process has
    the C++ compiler's environment afterwards, if there is one."""
    yield Finding(State.OK, f"Python {platform.python_version()} ({sys.executable})")
    yield from torch_findings()
    yield compiler(system, environ)
    yield program("nvcc", "CUDA compiler", "builds the kernels for NVIDIA GPUs", environ)
    yield program("ninja", "ninja", "builds kernels: pip install ninja", environ)
    for name, use in _PACKAGES.items():
        yield package(name, use)


def torch_findings() -> Iterator[Finding]:
    """PyTorch and the devices that it finds."""
    try:
        import torch
    except ImportError as error:
        yield Finding(State.MISSING, f"PyTorch: {error}", "pip install 'rwkv-music[train]'")
        return
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "processors only"
    yield Finding(State.OK, f"PyTorch {torch.__version__}, built for {built}")
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


def compiler(system: str, environ: MutableMapping[str, str]) -> Finding:
    """The C++ compiler; on Windows Visual Studio's is made callable."""
    if system == "win32":
        taken = take_environment(environ)
        return Finding(State.OK if taken.ready else State.ABSENT, taken.what, taken.remedy)
    for name in (environ.get("CXX", ""), "c++", "g++", "clang++"):
        path = shutil.which(name, path=environ.get("PATH")) if name else None
        if path:
            return Finding(State.OK, f"C++ compiler: {path}")
    return Finding(
        State.ABSENT, "no C++ compiler", "install one: it builds the kernels for processors"
    )


def program(
    name: str, what: str, use: str, environ: MutableMapping[str, str] = os.environ
) -> Finding:
    path = shutil.which(name, path=environ.get("PATH"))
    return (
        Finding(State.OK, f"{what}: {path}") if path else Finding(State.ABSENT, f"no {what}", use)
    )


def package(name: str, use: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(State.MISSING, f"no {name}, which {use}", "pip install 'rwkv-music[train]'")
    return Finding(State.OK, f"{name} {metadata.version(name)}")
