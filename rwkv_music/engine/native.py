"""RWKV-7/8 in C++: the engine of a processor, at the speed of its memory. The thin Python side.

One call is a whole pass: prefill, step and batch give bitwise the same numbers, since every dot
product is summed in one order, whatever the block of tokens or the batch. The instruction set is
chosen when a model is loaded; RWKV_MUSIC_INSTRUCTION_SET names another one of
`instruction_sets()`. Other threads run on during a call.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..errors import CheckpointError, ConfigError, TokenError
from ..model.weights import Weights
from .base import EngineState, Logits
from .numpy_layers import F32

INSTRUCTION_SET_VARIABLE = "RWKV_MUSIC_INSTRUCTION_SET"
BITS = (32, 16, 8, 4)


def absence() -> str:
    """Why the compiled half cannot be had; empty where it can."""
    try:
        from . import _native  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def instruction_sets() -> list[str]:
    """What this processor runs, the best first; nothing without the compiled half."""
    if absence():
        return []
    from . import _native

    return _native.instruction_sets()


class NativeEngine:
    """Implements base.Engine. Weights are copied, packed and quantised; a state has one caller at
    a time, the engine may have several.

    bits: 32 (float32), 16 (bfloat16), 8 or 4 for a weight. Integer weights meet activations of
    8 bits. threads: that share one pass; more than one serves one caller at a time.
    """

    name = "native"

    def __init__(self, weights: Weights, *, bits: int = 8, threads: int = 1) -> None:
        if reason := absence():
            raise ConfigError(
                f"model.engine: native was not built ({reason}); install a C++ compiler and"
                " reinstall rwkv-music, or choose numpy"
            )
        from . import _native

        if bits not in BITS:
            raise ConfigError(f"bits: got {bits!r}, expected one of {BITS}")
        config = self.config = weights.config
        self.bits = bits
        shape = _native.Shape(
            layers=config.layers,
            width=config.width,
            vocabulary=config.vocabulary,
            rank_w=config.rank_w,
            rank_a=config.rank_a,
            rank_v=config.rank_v,
            rank_g=config.rank_g,
            enn=config.enn,
        )

        def tensor(name: str) -> F32:
            return np.ascontiguousarray(weights.tensors[name], np.float32)

        if not 1 <= threads <= 256:
            raise ConfigError(f"threads: got {threads!r}, expected 1 to 256")
        chosen = os.environ.get(INSTRUCTION_SET_VARIABLE, "")
        if chosen and chosen not in instruction_sets():
            known = ", ".join(instruction_sets())
            raise ConfigError(
                f"{INSTRUCTION_SET_VARIABLE}: got {chosen!r}, this processor runs {known}"
            )
        try:
            self._model = _native.Model(shape, bits, threads, chosen, tensor)
        except MemoryError as error:
            raise CheckpointError(
                f"{weights.source}: {config.parameters >> 20} million weights at {bits} bits do not"
                " fit into the memory; use a smaller model, or fewer bits"
            ) from error

    @property
    def instruction_set(self) -> str:
        return self._model.instruction_set

    @property
    def bytes_per_token(self) -> int:
        """What one token reads of the weights, and reads and writes of its state."""
        return self._model.bytes_per_token + 2 * 4 * self.config.state_size

    def new_state(self) -> EngineState:
        return np.zeros(self.config.state_size, np.float32)

    def prefill(self, state: EngineState, tokens: Sequence[int]) -> Logits:
        try:
            return self._model.prefill(state, tokens)
        except IndexError as error:
            raise TokenError(f"prefill: {error}") from error

    def step(self, state: EngineState, token: int) -> Logits:
        try:
            return self._model.step(state, token)
        except IndexError as error:
            raise TokenError(f"step: {error}") from error

    def step_batch(self, states: Sequence[EngineState], tokens: Sequence[int]) -> Logits:
        try:
            return self._model.step_batch(states, tokens)
        except IndexError as error:
            raise TokenError(f"step_batch: {error}") from error
