"""The extension module made from csrc/; see python.cpp."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

def instruction_sets() -> list[str]: ...

class Memory:
    def __init__(self, bytes: int) -> None: ...
    @property
    def bytes(self) -> int: ...
    def read(self) -> float: ...

class Shape:
    def __init__(
        self,
        *,
        layers: int,
        width: int,
        vocabulary: int,
        rank_w: int,
        rank_a: int,
        rank_v: int,
        rank_g: int,
        enn: bool,
    ) -> None: ...

class Model:
    def __init__(
        self,
        shape: Shape,
        bits: int,
        threads: int,
        instruction_set: str,
        tensor: Callable[[str], Floats],
    ) -> None: ...
    @property
    def instruction_set(self) -> str: ...
    @property
    def bytes_per_token(self) -> int: ...
    def prefill(self, state: Floats, tokens: Sequence[int]) -> Floats: ...
    def step(self, state: Floats, token: int) -> Floats: ...
    def step_batch(self, states: Sequence[Floats], tokens: Sequence[int]) -> Floats: ...
