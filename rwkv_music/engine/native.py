"""RWKV-7/8 in C++: the engine of a processor, at the speed of its memory. The thin Python side.

One call is a whole pass: prefill, step and batch give bitwise the same numbers, since every dot
product is summed in one order, whatever the block of tokens or the batch. The instruction set is
chosen when a model is loaded; RWKV_MUSIC_INSTRUCTION_SET names another one of
`instruction_sets()`. Other threads run on during a call.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import CheckpointError, ConfigError, TokenError
from ..model.config import ModelConfig
from ..model.packed_weights import BITS, PackedWeights
from ..model.tensor_file import Bytes
from ..model.weights import Weights, check_memory
from . import extension
from .base import EngineState, Logits
from .numpy_layers import F32

if TYPE_CHECKING:
    from . import _native

INSTRUCTION_SET_VARIABLE = "RWKV_MUSIC_INSTRUCTION_SET"
DEFAULT_BITS = 8


def absence() -> str:
    """Why the compiled half cannot be had; empty where it can."""
    return extension.absence


def remedy() -> str:
    """What to do about it."""
    return extension.remedy


def instruction_sets() -> list[str]:
    """What this processor runs, the best first; nothing without the compiled half."""
    if absence():
        return []
    from . import _native

    return _native.instruction_sets()


class NativeEngine:
    """Implements base.Engine. Weights are copied, packed and quantised; those that are packed
    already are used where they lie. A state has one caller at a time, the engine may have several.

    bits: 32 (float32), 16 (bfloat16), 8 or 4 for a weight; None: 8, or what packed weights have.
    Integer weights meet activations of 8 bits. threads: that share one pass, fewer where the system
    gives no more; more than one serves one caller at a time.
    """

    name = "native"

    def __init__(
        self, weights: Weights | PackedWeights, *, bits: int | None = None, threads: int = 1
    ) -> None:
        _require()
        from . import _native

        self.config = weights.config
        packed = weights if isinstance(weights, PackedWeights) else None
        self.bits = (packed.bits if packed else DEFAULT_BITS) if bits is None else bits
        if self.bits not in BITS:
            raise ConfigError(f"bits: got {self.bits!r}, expected one of {BITS}")
        if packed and self.bits != packed.bits:
            raise ConfigError(
                f"bits: got {bits}, {packed.source} has {packed.bits}; quantise the checkpoint"
                " that it was made from"
            )
        if not 1 <= threads <= 256:
            raise ConfigError(f"threads: got {threads!r}, expected 1 to 256")
        chosen = os.environ.get(INSTRUCTION_SET_VARIABLE, "")
        if chosen and chosen not in instruction_sets():
            known = ", ".join(instruction_sets())
            raise ConfigError(
                f"{INSTRUCTION_SET_VARIABLE}: got {chosen!r}, this processor runs {known}"
            )
        self._weights = packed  # whose memory the model reads
        settings = (_shape(self.config), self.bits, threads, chosen)
        try:
            if isinstance(weights, PackedWeights):
                self._model = _native.Model.packed(*settings, _blocks(weights))
            else:
                check_memory(self.config.parameters * self.bits // 8, weights.source)
                self._model = _native.Model(*settings, _official(weights))
        except MemoryError as error:
            raise _too_large(weights, self.bits) from error
        except ValueError as error:
            if not packed:
                raise
            raise CheckpointError(
                f"{packed.source}: {error}; quantise it again, with `rwkv-music-daemon models"
                " quantize`"
            ) from error

    @property
    def instruction_set(self) -> str:
        return self._model.instruction_set

    @property
    def threads(self) -> int:
        return self._model.threads

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


def pack(weights: Weights, bits: int) -> PackedWeights:
    """Weights as the engine multiplies them. Raises ConfigError without the compiled half."""
    _require()
    from . import _native

    if bits not in BITS:
        raise ConfigError(f"bits: got {bits!r}, expected one of {BITS}")
    blocks: dict[str, Bytes] = {}
    try:
        _native.pack(_shape(weights.config), bits, _official(weights), blocks.__setitem__)
    except MemoryError as error:
        raise _too_large(weights, bits) from error
    return PackedWeights(
        weights.config,
        bits,
        blocks,
        weights.vocabulary_hash,
        weights.facts or {},
        weights.fingerprint,
        weights.source,
    )


def _require() -> None:
    """Raises ConfigError where the compiled half cannot be had."""
    if reason := absence():
        raise ConfigError(
            f"model.engine: native is not there ({reason}); {remedy()}, or choose numpy"
        )


def _shape(config: ModelConfig) -> _native.Shape:
    from . import _native

    return _native.Shape(
        layers=config.layers,
        width=config.width,
        vocabulary=config.vocabulary,
        rank_w=config.rank_w,
        rank_a=config.rank_a,
        rank_v=config.rank_v,
        rank_g=config.rank_g,
        enn=config.enn,
    )


def _official(weights: Weights) -> Callable[[str], F32]:
    return lambda name: np.ascontiguousarray(weights.tensors[name], np.float32)


def _blocks(packed: PackedWeights) -> Callable[[str], Bytes]:
    def block(name: str) -> Bytes:
        found = packed.blocks.get(name)
        if found is None:
            raise ValueError(f"{name} is missing")
        return found

    return block


def _too_large(weights: Weights | PackedWeights, bits: int) -> CheckpointError:
    return CheckpointError(
        f"{weights.source}: {weights.config.parameters >> 20} million weights at {bits} bits do not"
        " fit into the memory; use a smaller model, or fewer bits"
    )
