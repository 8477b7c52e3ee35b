"""Models of music behind one door: `load_model`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ConfigError
from .protocol import BarRequest, MusicModel

__all__ = ["ENGINES", "BarRequest", "MusicModel", "load_model"]

ENGINES = ("auto", "native", "numpy", "torch", "scripted")
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
    if engine in ("native", "torch"):
        raise ConfigError(
            f"model.engine: {engine} is not part of this version; choose numpy, or auto for the"
            " fastest there is"
        )
    if engine not in ENGINES:
        raise ConfigError(f"model.engine: got {engine!r}, expected one of {', '.join(ENGINES)}")
    if path:
        return _load(Path(path).expanduser())
    starter = resources.files("rwkv_music").joinpath("data", _STARTER)
    with resources.as_file(starter) as file:
        if not file.is_file():
            raise CheckpointError(
                f"{_STARTER}: this installation has no embedded model; name a checkpoint with"
                " model.path, or reinstall the package"
            )
        return _load(file)


def _load(path: Path) -> MusicModel[Any]:
    from ..engine.numpy_engine import NumpyEngine
    from ..tokenizer import load_vocabulary
    from .rwkv import RwkvMusicModel
    from .weights import load_weights

    vocabulary = load_vocabulary()
    weights = load_weights(path)
    weights.check_vocabulary(vocabulary)
    engine = NumpyEngine(weights)
    return RwkvMusicModel(engine, vocabulary, f"{path.stem} ({engine.name})")
