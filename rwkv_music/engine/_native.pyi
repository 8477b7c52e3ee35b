"""The extension module made from csrc/; see python.cpp."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SOURCE_STAMP: int  # see source_stamp.py

def instruction_sets() -> list[str]: ...
def draw(
    logits: Floats,
    ranges: tuple[int, int, int, int, int, bool],
    kept: NDArray[np.bool_] | None,
    recent: NDArray[np.float64] | None,
    first: int,
    log_penalty: float,
    density: float,
    temperature: float,
    top_p: float,
    top_k: int,
    min_p: float,
    u: float,
) -> int: ...

class Memory:
    def __init__(self, bytes: int) -> None: ...
    @property
    def bytes(self) -> int: ...
    def read(self, bytes: int, threads: int) -> float: ...

def round_trip_ns() -> float: ...

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

def pack(
    shape: Shape,
    bits: int,
    tensor: Callable[[str], Floats],
    tell: Callable[[str, Bytes], None],
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
    @staticmethod
    def packed(
        shape: Shape,
        bits: int,
        threads: int,
        instruction_set: str,
        block: Callable[[str], Bytes],
    ) -> Model: ...
    @property
    def instruction_set(self) -> str: ...
    @property
    def bytes_per_token(self) -> int: ...
    @property
    def threads(self) -> int: ...
    def prefill(self, state: Floats, tokens: Sequence[int]) -> Floats: ...
    def step(self, state: Floats, token: int) -> Floats: ...
    def step_batch(self, states: Sequence[Floats], tokens: Sequence[int]) -> Floats: ...
