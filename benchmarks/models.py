"""The models that the engines are measured on: the shipped one, and random ones of usual shapes.

Of a random model only the first two layers are made; the others repeat them, in memory of their
own. So a large one is there in seconds, and every token still reads all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from rwkv_music.engine.native import pack
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.packed_weights import PackedWeights
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.weights import Weights, load_weights, tensor_shapes

DEFAULT = "default"
SIZES = {
    "L6-C384": ModelConfig(6, 384, 512, 64, 64, 32, 96),
    "L12-C512": ModelConfig(12, 512, 512, 64, 64, 32, 128),
    "L24-C1024": ModelConfig(24, 1024, 20096, 64, 64, 64, 160),
    "L24-C2048": ModelConfig(24, 2048, 20096, 128, 128, 64, 224),
}
# The sizes for which RWKV-Music's documents name the speed of an RTX 4090, in tokens a second.
LARGE = {
    "0.43B": (ModelConfig(24, 1024, 56000, 64, 64, 64, 160), 50),
    "1.5B": (ModelConfig(24, 2048, 65536, 96, 96, 64, 256), 35),
    "3B": (ModelConfig(32, 2560, 65536, 96, 96, 64, 320), 25),
}


class _Repeated(Mapping[str, NDArray[np.float32]]):
    """Tensors of a model of two layers as those of a deeper one."""

    def __init__(self, two: Weights, config: ModelConfig) -> None:
        self._two = two.tensors
        self._names = tensor_shapes(config)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        if name not in self._names:
            raise KeyError(name)
        return self._two[_first_of(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _first_of(name: str) -> str:
    """The tensor of the first or second layer that stands for this one."""
    head, number, *rest = name.split(".", 2)
    if head != "blocks" or int(number) < 2:
        return name
    return f"blocks.1.{rest[0]}"


def default_weights() -> Weights:
    """The shipped model's; random ones of its usual size where none is."""
    shipped = resources.files("rwkv_music").joinpath("data", "starter.safetensors")
    with resources.as_file(shipped) as file:
        if file.is_file():
            return load_weights(file)
    return random_weights(ModelConfig.sized(6, 256, 432))


def weights_of(name: str) -> Weights:
    """Of DEFAULT or one of SIZES."""
    if name == DEFAULT:
        return default_weights()
    config = SIZES[name]
    two = random_weights(replace(config, layers=2))
    return replace(two, config=config, tensors=_Repeated(two, config))


def packed_of(config: ModelConfig, bits: int) -> PackedWeights:
    """Random weights at so many bits, without the float32 ones ever being there."""
    two = pack(random_weights(replace(config, layers=2)), bits)
    blocks = dict(two.blocks)
    for i in range(2, config.layers):
        for name, block in two.blocks.items():
            if name.startswith("blocks.1."):
                blocks[f"blocks.{i}.{name.removeprefix('blocks.1.')}"] = block.copy()
    return replace(two, config=config, blocks=blocks, source="random weights")
