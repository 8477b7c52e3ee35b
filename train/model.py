"""RWKV-7 (x070) for training: official parameter names, official start values, optional `enn`.

Shapes: B batch, T time, C width, V vocabulary, H heads, N = 64, R rows that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rwkv_music.model.config import HEAD_SIZE, ModelConfig

from . import initialisation as start
from .kernels import wkv7

DECAY_SCALE = -exp(-0.5)


@dataclass(slots=True)
class LayerState:
    """What a layer carries: [B, C] last inputs of the two mixes, [B, H, N (value), N (key)]."""

    att_shift_BC: Tensor
    ffn_shift_BC: Tensor
    wkv_BHNN: Tensor


def shifted(x_BTC: Tensor, before_BC: Tensor | None) -> Tensor:
    """x one step earlier; `before` (or zero) comes first."""
    if before_BC is None:
        return F.pad(x_BTC, (0, 0, 1, -1))
    return torch.cat([before_BC[:, None].to(x_BTC.dtype), x_BTC[:, :-1]], dim=1)


class TimeMix(nn.Module):
    x_r: Tensor
    x_w: Tensor
    x_k: Tensor
    x_v: Tensor
    x_a: Tensor
    x_g: Tensor
    w0: Tensor
    w1: Tensor
    w2: Tensor
    a0: Tensor
    a1: Tensor
    a2: Tensor
    v0: Tensor
    v1: Tensor
    v2: Tensor
    g1: Tensor
    g2: Tensor
    k_k: Tensor
    k_a: Tensor

    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.layer, self.heads = layer, config.heads
        for name, curve in start.mix_curves(layer, config).items():
            if name != "ffn":
                self.register_parameter(f"x_{name}", _vector(curve))
        vectors = start.vectors(layer, config)
        ranks = {"w": config.rank_w, "a": config.rank_a, "v": config.rank_v, "g": config.rank_g}
        if layer == 0:
            del vectors["v0"], ranks["v"]
        for name, vector in vectors.items():
            self.register_parameter(name, _vector(vector))
        for name, rank in ranks.items():
            self.register_parameter(f"{name}1", nn.Parameter(torch.zeros(width, rank)))
            up = start.orthogonal(rank, width, 0.1)
            self.register_parameter(f"{name}2", nn.Parameter(up))
        self.r_k = nn.Parameter(torch.full((self.heads, HEAD_SIZE), -0.04))
        self.receptance = _linear(width, width, 1.0)
        self.key = _linear(width, width, 0.1)
        self.value = _linear(width, width, 1.0)
        self.output = _linear(width, width, 0.0)
        self.ln_x = nn.GroupNorm(self.heads, width, eps=64e-5)
        nn.init.constant_(self.ln_x.weight, ((1 + layer) / config.layers) ** 0.7)

    def forward(
        self, x_BTC: Tensor, v_first_BTC: Tensor | None, state: LayerState | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output, the first layer's v, and the final WKV state."""
        batch, steps, width = x_BTC.shape
        dx = shifted(x_BTC, None if state is None else state.att_shift_BC) - x_BTC
        x_r, x_w, x_k, x_v, x_a, x_g = (
            torch.addcmul(x_BTC, dx, mu.to(x_BTC.dtype))
            for mu in (self.x_r, self.x_w, self.x_k, self.x_v, self.x_a, self.x_g)
        )
        r, k, v = self.receptance(x_r), self.key(x_k), self.value(x_v)
        u = self.w0 + torch.tanh(x_w @ self.w1) @ self.w2
        log_w = DECAY_SCALE * torch.sigmoid(u)
        if v_first_BTC is None:
            v_first_BTC = v
        else:
            v = v + (v_first_BTC - v) * torch.sigmoid(self.v0 + (x_v @ self.v1) @ self.v2)
        a = torch.sigmoid(self.a0 + (x_a @ self.a1) @ self.a2)
        g = torch.sigmoid(x_g @ self.g1) @ self.g2
        kk = F.normalize((k * self.k_k).view(batch, steps, self.heads, -1), dim=-1, eps=1e-12)
        k = k * (1 + (a - 1) * self.k_a)

        r, log_w, k, v, a = (x.view(batch, steps, self.heads, -1) for x in (r, log_w, k, v, a))
        y, wkv = wkv7(r, log_w, k, v, -kk, kk * a, None if state is None else state.wkv_BHNN)
        bonus = (r * k * self.r_k).sum(-1, keepdim=True) * v
        y = self.ln_x(y.reshape(batch * steps, width)).view(batch, steps, width)
        y = (y + bonus.view(batch, steps, width)) * g
        return self.output(y), v_first_BTC, wkv


class ChannelMix(nn.Module):
    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        self.x_k = _vector(start.mix_curves(layer, config)["ffn"])
        self.key = _linear(config.width, 4 * config.width, 1.0)
        self.value = _linear(4 * config.width, config.width, 0.0)
        if config.enn:
            self.enn = nn.Embedding(config.vocabulary, config.width)
            nn.init.ones_(self.enn.weight)

    def forward(self, x_BTC: Tensor, tokens_BT: Tensor, before_BC: Tensor | None) -> Tensor:
        dx = shifted(x_BTC, before_BC) - x_BTC
        k = self.key(torch.addcmul(x_BTC, dx, self.x_k.to(x_BTC.dtype)))
        out = self.value(torch.relu(k).square())
        return out * self.enn(tokens_BT) if hasattr(self, "enn") else out


class Block(nn.Module):
    def __init__(self, layer: int, config: ModelConfig, dropout: float) -> None:
        super().__init__()
        if layer == 0:
            self.ln0 = nn.LayerNorm(config.width)
        self.ln1, self.ln2 = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.att, self.ffn = TimeMix(layer, config), ChannelMix(layer, config)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x_BTC: Tensor,
        tokens_BT: Tensor,
        v_first_BTC: Tensor | None,
        state: LayerState | None,
    ) -> tuple[Tensor, Tensor, LayerState]:
        if hasattr(self, "ln0"):
            x_BTC = self.ln0(x_BTC)
        dtype = _product_dtype(x_BTC)
        att_in = self.ln1(x_BTC).to(dtype)
        out, v_first_BTC, wkv = self.att(att_in, v_first_BTC, state)
        x_BTC = x_BTC + self.dropout(out)
        ffn_in = self.ln2(x_BTC).to(dtype)
        out = self.ffn(ffn_in, tokens_BT, None if state is None else state.ffn_shift_BC)
        x_BTC = x_BTC + self.dropout(out)
        return x_BTC, v_first_BTC, LayerState(att_in[:, -1], ffn_in[:, -1], wkv)


class Rwkv7(nn.Module):
    """The whole model. `state_dict()` has the names and shapes of official checkpoints."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.emb = nn.Embedding(config.vocabulary, config.width)
        nn.init.uniform_(self.emb.weight, -start.EMBEDDING_SPREAD, start.EMBEDDING_SPREAD)
        self.blocks = nn.ModuleList(Block(i, config, dropout) for i in range(config.layers))
        self.ln_out = nn.LayerNorm(config.width)
        self.head = _linear(config.width, config.vocabulary, start.head_gain(config))

    def forward(
        self,
        tokens_BT: Tensor,
        rows_R: Tensor | None = None,
        states: list[LayerState] | None = None,
    ) -> tuple[Tensor, list[LayerState]]:
        """Logits and the states after the last token.

        rows_R: indices into the flattened [B * T] positions; only their hidden states meet
        `ln_out` and the head, and the logits are [R, V]. Without it they are [B, T, V].
        """
        x_BTC = self.emb(tokens_BT)
        v_first: Tensor | None = None
        ends: list[LayerState] = []
        for i, block in enumerate(self.blocks):
            x_BTC, v_first, end = block(x_BTC, tokens_BT, v_first, states[i] if states else None)
            ends.append(end)
        kept = x_BTC if rows_R is None else x_BTC.reshape(-1, x_BTC.shape[-1])[rows_R]
        return self.head(self.ln_out(kept)), ends


def _product_dtype(x: Tensor) -> torch.dtype:
    """What autocast would multiply matrices in; the residual stream and the norms keep theirs."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _vector(values: Tensor) -> nn.Parameter:
    """A parameter of shape [1, 1, C], as official checkpoints have it."""
    return nn.Parameter(values.float().view(1, 1, -1))


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    with torch.no_grad():
        layer.weight.copy_(start.orthogonal(outputs, inputs, gain) if gain else 0 * layer.weight)
    return layer
