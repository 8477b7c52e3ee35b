"""Models of music behind one door: `load_model`."""

from __future__ import annotations

import logging
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, ConfigError
from .protocol import BarRequest, MusicModel, propose

if TYPE_CHECKING:
    from ..engine.base import Engine
    from .weights import Weights

__all__ = ["ENGINES", "BarRequest", "MusicModel", "load_model", "propose"]

ENGINES = ("auto", "native", "numpy", "torch", "scripted")
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
    if engine == "torch":
        raise ConfigError(
            "model.engine: torch is not part of this version; choose native or numpy, or auto for"
            " the fastest there is"
        )
    if engine not in ENGINES:
        raise ConfigError(f"model.engine: got {engine!r}, expected one of {', '.join(ENGINES)}")
    if path:
        return _load(Path(path).expanduser(), engine)
    starter = resources.files("rwkv_music").joinpath("data", _STARTER)
    with resources.as_file(starter) as file:
        if not file.is_file():
            raise CheckpointError(
                f"{_STARTER}: this installation has no embedded model; name a checkpoint with"
                " model.path, or reinstall the package"
            )
        return _load(file, engine)


def _load(path: Path, kind: str) -> MusicModel[Any]:
    from ..tokenizer import load_vocabulary
    from .rwkv import RwkvMusicModel
    from .weights import load_weights

    vocabulary = load_vocabulary()
    weights = load_weights(path)
    weights.check_vocabulary(vocabulary)
    engine = _engine(weights, kind)
    name = f"{path.stem} ({engine.name})"
    return RwkvMusicModel(engine, vocabulary, name, weights.fingerprint)


def _engine(weights: Weights, kind: str) -> Engine:
    """The engine of that name; `auto`: native where it was built, else NumPy, and a word on it."""
    from ..engine import native

    if kind == "native" or (kind == "auto" and not native.absence()):
        return native.NativeEngine(weights)
    if kind == "auto":
        log.warning(
            "The native engine is not there (%s): the slower NumPy engine serves. Install a C++"
            " compiler and reinstall rwkv-music.",
            native.absence(),
        )
    from ..engine.numpy_engine import NumpyEngine

    return NumpyEngine(weights)
