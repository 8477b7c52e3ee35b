"""RWKV-7/8 in PyTorch: the engine of an NVIDIA GPU. On a processor it serves to be tested.

Weights bfloat16 (float32 on a processor), states, norms and the recurrence float32. A step is one
CUDA graph for each number of takes, with or without the drawing in it; a prefill is replayed in
blocks. The recurrence and all that belongs to one head is one kernel (torch_wkv.py) where Triton
is installed, else plain PyTorch, which says the same.

Decay unit: the factor itself, in (0.545, 1). State layout: see base.py, S[value i, key j].
Legend: B states, T tokens of each, R = B T rows, C width, H heads, N = 64 head size, F = 4C, V
vocabulary, S numbers of a state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..errors import CheckpointError, ConfigError, TokenError
from ..model.config import HEAD_SIZE
from ..model.weights import Weights
from ..sampling import Sampling
from .base import Logits
from .torch_layers import draw_ids, load_layer, mix_heads

LAYER_NORM_EPS = 1e-5
BLOCK = 16  # tokens of a prefill in one graph
_LONGEST_PREFILL = 128  # tokens at once without one: bounds the memory of a prefill
log = logging.getLogger(__name__)


class TorchState:
    """A state [S] float32 on the device, used like the arrays of other engines."""

    dtype = np.dtype(np.float32)

    def __init__(self, values_S: torch.Tensor) -> None:
        self.values_S = values_S
        self.shape = tuple(values_S.shape)

    def copy(self) -> TorchState:
        return TorchState(self.values_S.clone())

    def __setitem__(self, place: slice, values: Any) -> None:
        if isinstance(values, TorchState):
            self.values_S[place] = values.values_S
        else:
            numbers = torch.from_numpy(np.array(values, np.float32))
            self.values_S[place] = numbers.to(self.values_S.device)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values_S.cpu().numpy(), dtype)


class TorchEngine:
    """Implements base.Engine, with states on the device. One caller at a time."""

    name = "torch"

    def __init__(self, weights: Weights, *, device: str = "") -> None:
        self.config = weights.config
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigError("model.engine: torch finds no CUDA device; choose native, or auto")
        on_gpu = self.device.type == "cuda"
        self._dtype = torch.bfloat16 if on_gpu else torch.float32
        self._graphs: dict[tuple[int, int, bool], _Graph] = {}
        self._mix_heads: Callable[..., torch.Tensor] = _fused() if on_gpu else mix_heads
        try:
            with torch.inference_mode():
                self._load(weights)
        except torch.OutOfMemoryError as error:
            raise CheckpointError(
                f"{weights.source}: does not fit into the GPU's memory; use a smaller model, or the"
                " native engine"
            ) from error

    def _load(self, weights: Weights) -> None:
        def tensor(name: str) -> torch.Tensor:
            return torch.from_numpy(np.array(weights.tensors[name], np.float32)).to(self.device)

        c = self.config.width
        ln0 = tensor("blocks.0.ln0.weight"), tensor("blocks.0.ln0.bias")
        embedding = F.layer_norm(tensor("emb.weight"), (c,), *ln0, LAYER_NORM_EPS)
        self._embedding_VC = embedding.to(self._dtype)
        self._layers = [
            load_layer(tensor, self.config, i, self._dtype) for i in range(self.config.layers)
        ]
        self._ln_out = tensor("ln_out.weight"), tensor("ln_out.bias")
        self._head_VC = tensor("head.weight").to(self._dtype)

    def new_state(self) -> TorchState:
        return TorchState(torch.zeros(self.config.state_size, device=self.device))

    def prefill(self, state: TorchState, tokens: Sequence[int]) -> Logits:
        if len(tokens) == 0:
            raise TokenError("prefill: got no token, expected one or more")
        self._check(tokens)
        on_gpu = self.device.type == "cuda"
        start = 0
        while start < len(tokens):
            left = len(tokens) - start
            count = (BLOCK if left >= BLOCK else 1) if on_gpu else min(left, _LONGEST_PREFILL)
            logits_BV = self._run([state], tokens[start : start + count])
            start += count
        return self._row(logits_BV)

    def step(self, state: TorchState, token: int) -> Logits:
        self._check((token,))
        return self._row(self._run([state], (token,)))

    def step_batch(self, states: Sequence[TorchState], tokens: Sequence[int]) -> Logits:
        if len(states) != len(tokens) or not tokens:
            raise TokenError(f"step_batch: got {len(states)} states, {len(tokens)} tokens")
        self._check(tokens)
        return self._numbers(self._run(states, tokens))

    def step_and_draw(
        self,
        states: Sequence[TorchState],
        tokens: Sequence[int],
        allowed_BV: NDArray[np.bool_],
        sampling: Sampling,
        u_B: Sequence[float],
    ) -> list[int]:
        """As `step_batch`, and draw one allowed id of each, on the device: what
        `sampling.draw_numpy` draws with the odds unchanged, up to rounding."""
        if len(states) != len(tokens) or not tokens:
            raise TokenError(f"step_and_draw: got {len(states)} states, {len(tokens)} tokens")
        self._check(tokens)
        cuts = (sampling.temperature, sampling.top_p, float(sampling.top_k), sampling.min_p)
        wishes = torch.tensor([[*cuts, u] for u in u_B], dtype=torch.float64)
        with torch.inference_mode():
            drawing = torch.from_numpy(np.array(allowed_BV, np.bool_)), wishes
            return [int(token) for token in self._run(states, tokens, drawing).tolist()]

    def _check(self, tokens: Sequence[int]) -> None:
        if min(tokens) < 0 or max(tokens) >= self.config.vocabulary:
            raise TokenError(f"token ids: expected 0 to {self.config.vocabulary - 1}, got {tokens}")

    def _row(self, logits_1V: torch.Tensor) -> Logits:
        logits_V: Logits = self._numbers(logits_1V)[0]
        return logits_V

    def _numbers(self, logits_BV: torch.Tensor) -> Logits:
        numbers: Logits = logits_BV.cpu().numpy()
        return numbers.copy()

    @torch.inference_mode()
    def _run(
        self,
        states: Sequence[TorchState],
        tokens: Sequence[int],
        drawing: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Logits [B, V] after the last token of each state; with `drawing`, ids [B]."""
        ids = torch.tensor([int(token) for token in tokens])
        if self.device.type == "cuda":
            key = len(states), len(tokens) // len(states), drawing is not None
            if key not in self._graphs:
                self._graphs[key] = _Graph(self, *key)
            return self._graphs[key](states, ids, drawing)
        state_BS = torch.stack([state.values_S for state in states])
        out = self.forward(state_BS, ids)
        if drawing is not None:
            out = draw_ids(out, *drawing)
        for state, moved_S in zip(states, state_BS, strict=True):
            state.values_S.copy_(moved_S)
        return out

    def forward(self, state_BS: torch.Tensor, ids_R: torch.Tensor) -> torch.Tensor:
        """Move B states on by T = R / B tokens each, in place; logits [B, V] float32."""
        c, states = self.config.width, len(state_BS)
        x_RC = self._embedding_VC[ids_R].float()
        v_first_RC = torch.empty_like(x_RC)
        place = 0
        for number, layer in enumerate(self._layers):
            wkv_BHNN = state_BS[:, place : place + c * HEAD_SIZE]
            wkv_BHNN = wkv_BHNN.view(states, self.config.heads, HEAD_SIZE, HEAD_SIZE)
            place += c * HEAD_SIZE
            ln_RC = F.layer_norm(x_RC, (c,), *layer.ln1, LAYER_NORM_EPS)
            dx_RC = _difference(ln_RC, state_BS[:, place : place + c], states)
            mixed_6RC = torch.addcmul(ln_RC, dx_RC, layer.mixes_61C).to(self._dtype)
            rkv_3RC = torch.bmm(mixed_6RC[:3], layer.rkv_3CC)
            low_4RD = torch.bmm(mixed_6RC[2:], layer.low_in_4CD)
            low_4RD[1].tanh_()
            low_4RD[3].sigmoid_()
            gates_4RC = torch.bmm(low_4RD, layer.low_out_4DC)
            y_RC = self._mix_heads(
                rkv_3RC, gates_4RC, layer.heads_8C, v_first_RC, wkv_BHNN, first=number == 0
            )
            x_RC = x_RC + F.linear(y_RC, layer.output_CC)
            place += c
            ln_RC = F.layer_norm(x_RC, (c,), *layer.ln2, LAYER_NORM_EPS)
            dx_RC = _difference(ln_RC, state_BS[:, place : place + c], states)
            mixed_RC = torch.addcmul(ln_RC, dx_RC, layer.ffn_mix_C).to(self._dtype)
            hidden_RF = F.linear(mixed_RC, layer.ffn_key_FC).relu_().square_()
            out_RC = F.linear(hidden_RF, layer.ffn_value_CF)
            if layer.enn_VC is not None:
                out_RC = out_RC * layer.enn_VC[ids_R]
            x_RC = x_RC + out_RC
            place += c
        last_BC = x_RC.view(states, -1, c)[:, -1]
        normal_BC = F.layer_norm(last_BC, (c,), *self._ln_out, LAYER_NORM_EPS)
        return F.linear(normal_BC.to(self._dtype), self._head_VC).float()


class _Graph:
    """A pass over B states and T tokens of each, recorded once: inputs are copied to where it
    reads them, and states back from where it wrote them."""

    def __init__(self, engine: TorchEngine, states: int, tokens: int, draws: bool) -> None:
        vocabulary, device = engine.config.vocabulary, engine.device
        self._state_BS = torch.zeros(states, engine.config.state_size, device=device)
        self._ids_R = torch.zeros(states * tokens, dtype=torch.long, device=device)
        self._allowed_BV = torch.ones(states, vocabulary, dtype=torch.bool, device=device)
        self._wishes_B5 = torch.ones(states, 5, dtype=torch.float64, device=device)

        def run() -> torch.Tensor:
            logits_BV = engine.forward(self._state_BS, self._ids_R)
            return draw_ids(logits_BV, self._allowed_BV, self._wishes_B5) if draws else logits_BV

        aside = torch.cuda.Stream(device)
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):  # what is compiled or allocated once is not recorded
            for _ in range(3):
                run()
        torch.cuda.current_stream(device).wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._out = run()

    def __call__(
        self,
        states: Sequence[TorchState],
        ids_R: torch.Tensor,
        drawing: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> torch.Tensor:
        self._ids_R.copy_(ids_R)
        for row_S, state in zip(self._state_BS, states, strict=True):
            row_S.copy_(state.values_S)
        if drawing is not None:
            self._allowed_BV.copy_(drawing[0])
            self._wishes_B5.copy_(drawing[1])
        self._graph.replay()
        for row_S, state in zip(self._state_BS, states, strict=True):
            state.values_S.copy_(row_S)
        return self._out


def _difference(x_RC: torch.Tensor, shift_BC: torch.Tensor, states: int) -> torch.Tensor:
    """What stood before each row, less the row. `shift` is where states keep their last row."""
    x_BTC = x_RC.view(states, -1, x_RC.shape[1])
    before_BTC = torch.cat([shift_BC[:, None], x_BTC[:, :-1]], dim=1)
    shift_BC.copy_(x_BTC[:, -1])
    return before_BTC.flatten(0, 1) - x_RC


def _fused() -> Callable[..., torch.Tensor]:
    try:
        from .torch_wkv import mix_heads_fused
    except ImportError as error:
        log.warning("Triton is not there (%s): the recurrence runs in plain PyTorch", error)
        return mix_heads
    return mix_heads_fused
