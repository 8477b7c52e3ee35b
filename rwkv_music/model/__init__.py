"""Models of music behind one door: `load_model`, and `open_checkpoint` to look at what it loads."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, ConfigError
from .protocol import BarRequest, MusicModel, propose

if TYPE_CHECKING:
    from ..engine.base import Engine
    from ..tokenizer import Vocabulary
    from .packed_weights import PackedWeights
    from .weights import Weights

__all__ = ["ENGINES", "BarRequest", "MusicModel", "load_model", "open_checkpoint", "propose"]

ENGINES = ("auto", "native", "numpy", "torch", "scripted")
# Parameters. Below the first, one thread is faster than the way to a GPU and back, or to another
# core with every product; up to the second, two threads each make some of several takes.
_LARGE, _IN_CACHE = 100_000_000, 30_000_000
_CORES_FOR_TWO_THREADS = 4  # two are left to the service
log = logging.getLogger(__name__)
_STARTER = "starter.safetensors"


def load_model(path: str = "", engine: str = "auto") -> MusicModel[Any]:
    """The model in the checkpoint at `path`; without one, the model shipped with the package.

    `engine` is one of ENGINES: `auto` is the fastest that this installation has, `scripted` the
    test model, with `path` the name of its script. Raises ConfigError for an engine that is
    unknown or not there, CheckpointError for a checkpoint that cannot be used.
    """
    if engine == "scripted":
        from .scripted import ScriptedModel

        return ScriptedModel(path)
    if engine not in ENGINES:
        raise ConfigError(f"model.engine: got {engine!r}, expected one of {', '.join(ENGINES)}")
    from .rwkv import RwkvMusicModel

    with _file(path) as file:
        weights, vocabulary = _opened(file)
        made = _engine(weights, engine)
        return RwkvMusicModel(made, vocabulary, f"{file.stem} ({made.name})", weights.fingerprint)


def open_checkpoint(path: str = "") -> Weights | PackedWeights:
    """The checkpoint that `load_model` makes a model of, found to be sound and to have our tokens.
    Raises CheckpointError."""
    with _file(path) as file:
        return _opened(file)[0]


@contextmanager
def _file(path: str) -> Iterator[Path]:
    if path:
        yield Path(path).expanduser()
        return
    starter = resources.files("rwkv_music").joinpath("data", _STARTER)
    with resources.as_file(starter) as file:
        if not file.is_file():
            raise CheckpointError(
                f"{_STARTER}: this installation has no embedded model; name a checkpoint with"
                " model.path, or reinstall the package"
            )
        yield file


def _opened(path: Path) -> tuple[Weights | PackedWeights, Vocabulary]:
    from ..tokenizer import load_vocabulary
    from .packed_weights import load_checkpoint

    vocabulary = load_vocabulary()
    weights = load_checkpoint(path)
    weights.check_vocabulary(vocabulary)
    return weights, vocabulary


def _engine(weights: Weights | PackedWeights, kind: str) -> Engine:
    """The engine of that name. `auto`: for a large model PyTorch where it has a GPU, else native
    where it was built, else NumPy, and a word on it."""
    from ..engine import native

    large = weights.config.parameters >= _LARGE
    if kind == "torch" or (kind == "auto" and large and _has_gpu()):
        if util.find_spec("torch") is None:
            raise ConfigError(
                "model.engine: torch is not installed; pip install 'rwkv-music[gpu]', or choose"
                " native or numpy"
            )
        from ..engine.torch_engine import TorchEngine

        return TorchEngine(_floats(weights))
    if kind == "native" or (kind == "auto" and not native.absence()):
        spare = (os.cpu_count() or 1) >= _CORES_FOR_TWO_THREADS
        shared = large or weights.config.parameters <= _IN_CACHE
        return native.NativeEngine(weights, threads=2 if shared and spare else 1)
    if kind == "auto":
        log.warning(
            "The native engine is not there (%s): the slower NumPy engine serves. To have it, %s.",
            native.absence(),
            native.remedy(),
        )
    from ..engine.numpy_engine import NumpyEngine

    return NumpyEngine(_floats(weights))


def _floats(weights: Weights | PackedWeights) -> Weights:
    from .packed_weights import PackedWeights

    return weights.unpacked() if isinstance(weights, PackedWeights) else weights


def _has_gpu() -> bool:
    """Whether PyTorch is installed and the CUDA driver knows a device: asked of the driver, since
    importing PyTorch takes seconds."""
    if util.find_spec("torch") is None:
        return False
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return bool(found and count.value > 0)
