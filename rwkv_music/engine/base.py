"""What an inference engine is: token ids in, logits out, and a state that can be copied.

Shapes: V vocabulary, B batch, S = config.state_size.
State layout, float32 [S], layer by layer: wkv [H, 64 (value i), 64 (key j)], then the token shift
of the time-mix [C], then that of the channel-mix [C]. Every engine uses this layout, so a state can
move from one engine to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..model.config import ModelConfig

Logits = NDArray[np.float32]
# [S] float32: an array, or what is used like one where states live on another device. A fork is
# `state.copy()`; `state[:] = numbers` restores it, `np.asarray(state)` reads it.
EngineState = Any


class Engine(Protocol):
    """One loaded model. Calls advance the states that they are given, in place."""

    @property
    def name(self) -> str: ...

    @property
    def config(self) -> ModelConfig: ...

    def new_state(self) -> EngineState:
        """Zeros [S]."""
        ...

    def prefill(self, state: EngineState, tokens: Sequence[int]) -> Logits:
        """Hear one token or more; the logits [V] after the last."""
        ...

    def step(self, state: EngineState, token: int) -> Logits:
        """Hear one token; the logits [V] after it. The same numbers as `prefill(state, [token])`
        up to rounding (on the native engine: to the bit)."""
        ...

    def step_batch(self, states: Sequence[EngineState], tokens: Sequence[int]) -> Logits:
        """Hear one token in each of B states; the logits [B, V]."""
        ...
