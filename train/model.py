"""RWKV-7 (x070) for training: official parameter names, official start values, optional `enn`.

Shapes: B batch, T time, C width, V vocabulary, H heads, N = 64; R positions that count, K positions
that the last layer works out for them (see batches.Slice).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rwkv_music.model.config import HEAD_SIZE, ModelConfig

from . import initialisation as start
from .batches import Slice
from .kernels import wkv7

DECAY_SCALE = -exp(-0.5)


@dataclass(slots=True)
class LayerState:
    """What a layer carries: [B, C] last inputs of the two mixes, [B, H, N (value), N (key)]."""

    att_shift_BC: Tensor
    ffn_shift_BC: Tensor
    wkv_BHNN: Tensor

    def detached(self) -> LayerState:
        """A copy through which no gradient flows, and which keeps nothing else in memory."""
        return LayerState(
            self.att_shift_BC.detach().clone(),
            self.ffn_shift_BC.detach().clone(),
            self.wkv_BHNN.detach().clone(),
        )


def shifted(x_BTC: Tensor, before_BC: Tensor | None, resets_BT: Tensor | None) -> Tensor:
    """x one step earlier; `before` (or zero) comes first, and zero where a window begins."""
    if before_BC is None:
        earlier = F.pad(x_BTC, (0, 0, 1, -1))
    else:
        earlier = torch.cat([before_BC[:, None].to(x_BTC.dtype), x_BTC[:, :-1]], dim=1)
    return earlier if resets_BT is None else earlier.masked_fill(resets_BT[..., None], 0)


class HeadNorm(nn.GroupNorm):
    """Each head's numbers normed on their own: GroupNorm, whose form for processors is meant for
    pictures and takes twice as long as LayerNorm's."""

    def forward(self, y_PHN: Tensor) -> Tensor:
        """[P, C]"""
        y_PHN = y_PHN.to(self.weight.dtype)
        normed = F.layer_norm(y_PHN, y_PHN.shape[-1:], eps=self.eps)
        return torch.addcmul(self.bias, normed.flatten(-2), self.weight)


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
        self.ln_x = HeadNorm(self.heads, width, eps=64e-5)
        nn.init.constant_(self.ln_x.weight, ((1 + layer) / config.layers) ** 0.7)

    def forward(
        self,
        x_BTC: Tensor,
        v_first_BTC: Tensor | None,
        state: LayerState | None,
        resets_BT: Tensor | None = None,
        near_K: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Output, the first layer's v, and the final WKV state.

        With near_K, the output is [K, C], of these positions alone: what only they need (the
        receptance, the gate, the norm, the output matrix) is computed for no other. The recurrence
        goes through all.
        """
        batch, steps, width = x_BTC.shape
        before_BC = None if state is None else state.att_shift_BC
        dx = shifted(x_BTC, before_BC, resets_BT) - x_BTC

        def mixed(mu: Tensor, x: Tensor = x_BTC, dx: Tensor = dx) -> Tensor:
            return torch.addcmul(x, dx, mu.view(-1).to(x.dtype))

        if near_K is None:
            r = self.receptance(mixed(self.x_r))
            x_g = mixed(self.x_g)
        else:
            x_KC, dx_KC = (whole.view(-1, width)[near_K] for whole in (x_BTC, dx))
            r_KC = self.receptance(mixed(self.x_r, x_KC, dx_KC))
            r = r_KC.new_zeros(batch * steps, width).index_copy(0, near_K, r_KC)
            r, x_g = r.view(batch, steps, width), mixed(self.x_g, x_KC, dx_KC)
        x_v = mixed(self.x_v)
        k, v = self.key(mixed(self.x_k)), self.value(x_v)
        u = self.w0 + torch.tanh(mixed(self.x_w) @ self.w1) @ self.w2
        log_w = DECAY_SCALE * torch.sigmoid(u)
        if v_first_BTC is None:
            v_first_BTC = v
        else:
            first = torch.sigmoid(self.v0 + (x_v @ self.v1) @ self.v2)
            v = torch.lerp(v, v_first_BTC, first.to(v.dtype))
        a = torch.sigmoid(self.a0 + (mixed(self.x_a) @ self.a1) @ self.a2)
        g = torch.sigmoid(x_g @ self.g1) @ self.g2
        k = k.to(a.dtype)
        kk = _normalised((k * self.k_k).view(batch, steps, self.heads, -1))
        b = kk * a.view(kk.shape)
        k = k * (1 + (a - 1) * self.k_a)

        # As precise as the matrix products: in bfloat16 the kernel reads and writes half as much.
        inputs = (x.to(x_BTC.dtype).view(kk.shape) for x in (r, log_w, k, v, -kk, b))
        r, log_w, k, v, a, b = inputs
        wkv_before = None if state is None else state.wkv_BHNN
        y, wkv = wkv7(r, log_w, k, v, a, b, wkv_before, resets_BT)
        y, r, k, v = (x.reshape(batch * steps, self.heads, -1) for x in (y, r, k, v))
        if near_K is not None:
            y, r, k, v = (x[near_K] for x in (y, r, k, v))
        bonus = (r * self.r_k * k).sum(-1, keepdim=True) * v
        y = self.ln_x(y) + bonus.view(-1, width)
        return self.output(y.view(g.shape).to(g.dtype) * g), v_first_BTC, wkv


class ChannelMix(nn.Module):
    def __init__(self, layer: int, config: ModelConfig) -> None:
        super().__init__()
        self.x_k = _vector(start.mix_curves(layer, config)["ffn"])
        self.key = _linear(config.width, 4 * config.width, 1.0)
        self.value = _linear(4 * config.width, config.width, 0.0)
        if config.enn:
            self.enn = nn.Embedding(config.vocabulary, config.width)
            nn.init.ones_(self.enn.weight)

    def forward(self, x: Tensor, before: Tensor, tokens: Tensor) -> Tensor:
        """x: inputs [..., C]; before: those one step earlier; tokens [...]: their ids."""
        k = self.key(torch.addcmul(x, before - x, self.x_k.view(-1).to(x.dtype)))
        out: Tensor = self.value(torch.relu(k).square())
        return out * self.enn(tokens) if hasattr(self, "enn") else out


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
        resets_BT: Tensor | None = None,
        kept: Slice[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, LayerState]:
        """Hidden states [B, T, C], or [R, C] of the positions `kept`; v_first; the end state."""
        if hasattr(self, "ln0"):
            x_BTC = self.ln0(x_BTC)
        dtype = _product_dtype(x_BTC)
        att_in = self.ln1(x_BTC).to(dtype)
        near_K = None if kept is None else kept.near
        out, v_first_BTC, wkv = self.att(att_in, v_first_BTC, state, resets_BT, near_K)
        ffn_before = None if state is None else state.ffn_shift_BC
        if kept is None:
            x = x_BTC + self.dropout(out)
            ffn_in = self.ln2(x).to(dtype)
            earlier, tokens = shifted(ffn_in, ffn_before, resets_BT), tokens_BT
            ffn_last_BC = ffn_in[:, -1]
        else:
            batch, _, width = x_BTC.shape
            x_KC = x_BTC.reshape(-1, width)[kept.near] + self.dropout(out)
            in_KC = self.ln2(x_KC).to(dtype)
            carried = in_KC.new_zeros(batch, width) if ffn_before is None else ffn_before.to(dtype)
            earlier = torch.cat([in_KC, carried, in_KC.new_zeros(1, width)])[kept.before]
            x, ffn_in = x_KC[kept.here], in_KC[kept.here]
            tokens = tokens_BT.reshape(-1)[kept.rows]
            ffn_last_BC = in_KC[kept.ends]
        x = x + self.dropout(self.ffn(ffn_in, earlier, tokens))
        return x, v_first_BTC, LayerState(att_in[:, -1], ffn_last_BC, wkv)


class Rwkv7(nn.Module):
    """The whole model. `state_dict()` has the names and shapes of official checkpoints.

    recompute: keep only what enters each layer, and compute it anew in the backward pass: about a
    third more time, and the memory of one layer instead of all.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        self.emb = nn.Embedding(config.vocabulary, config.width)
        nn.init.uniform_(self.emb.weight, -start.EMBEDDING_SPREAD, start.EMBEDDING_SPREAD)
        self.blocks = nn.ModuleList(Block(i, config, dropout) for i in range(config.layers))
        self.ln_out = nn.LayerNorm(config.width)
        self.head = _linear(config.width, config.vocabulary, start.head_gain(config))

    def forward(
        self, tokens_BT: Tensor, states: list[LayerState] | None = None
    ) -> tuple[Tensor, list[LayerState]]:
        """Logits [B, T, V] and the states after the last token."""
        hidden, ends = self.hidden(tokens_BT, states)
        return self.head(hidden), ends

    def hidden(
        self,
        tokens_BT: Tensor,
        states: list[LayerState] | None = None,
        resets_BT: Tensor | None = None,
        kept: Slice[Tensor] | None = None,
    ) -> tuple[Tensor, list[LayerState]]:
        """What the head reads, [B, T, C] or [R, C], and the states after the last token.

        kept: the positions that count: only their hidden states are gathered from the last layer
        and meet `ln_out`. resets_BT: where all that was heard is forgotten (see `wkv7`).
        """
        x = self.emb(tokens_BT)
        v_first: Tensor | None = None
        ends: list[LayerState] = []
        last = len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            state = states[i] if states else None
            inputs = x, tokens_BT, v_first, state, resets_BT, kept if i == last else None
            if self.recompute and torch.is_grad_enabled():
                x, v_first, end = checkpoint(block, *inputs, use_reentrant=False)
            else:
                x, v_first, end = block(*inputs)
            ends.append(end)
        return self.ln_out(x), ends


def _product_dtype(x: Tensor) -> torch.dtype:
    """What autocast would multiply matrices in; the residual stream and the norms keep theirs."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def _normalised(x: Tensor) -> Tensor:
    """x / max(|x|, 1e-12) along the last axis: F.normalize, in fewer passes back."""
    return x * x.square().sum(-1, keepdim=True).clamp_min(1e-24).rsqrt()


def _vector(values: Tensor) -> nn.Parameter:
    """A parameter of shape [1, 1, C], as official checkpoints have it."""
    return nn.Parameter(values.float().view(1, 1, -1))


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    with torch.no_grad():
        layer.weight.copy_(start.orthogonal(outputs, inputs, gain) if gain else 0 * layer.weight)
    return layer
