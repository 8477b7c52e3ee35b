"""A block's weights on the device, and what happens in its heads, in plain PyTorch.

Decay unit: the factor itself, in (0.545, 1). State layout: see base.py, S[value i, key j].
Legend: B states, T tokens of each, R = B T rows, C width, H heads, N = 64 head size, D the largest
low-rank size (smaller ones are padded with zeros), F = 4C, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

import torch
import torch.nn.functional as F

from ..model.config import HEAD_SIZE, ModelConfig

LOG_DECAY = -exp(-0.5)  # the strongest decay, as a logarithm
GROUP_NORM_EPS = 64e-5

Norm = tuple[torch.Tensor, torch.Tensor]  # weight and bias


@dataclass(frozen=True, slots=True)
class TorchLayer:
    """One block. `mixes` are in the order r, k, v, w, a, g, so that the first three meet `rkv` and
    the last four the low ranks v, w, a, g. Vectors and norms are float32."""

    ln1: Norm
    ln2: Norm
    mixes_61C: torch.Tensor
    rkv_3CC: torch.Tensor  # [in, out]
    low_in_4CD: torch.Tensor
    low_out_4DC: torch.Tensor
    heads_8C: torch.Tensor  # v0, w0, a0, k_k, k_a, r_k, and the weight and bias of ln_x
    output_CC: torch.Tensor  # [out, in], as below
    ffn_mix_C: torch.Tensor
    ffn_key_FC: torch.Tensor
    ffn_value_CF: torch.Tensor
    enn_VC: torch.Tensor | None


def load_layer(
    tensor: Callable[[str], torch.Tensor], config: ModelConfig, i: int, dtype: torch.dtype
) -> TorchLayer:
    """Block i; `tensor` gives an official tensor as float32 on the device."""
    c = config.width
    att, ffn = f"blocks.{i}.att", f"blocks.{i}.ffn"
    ranks = {"v": config.rank_v, "w": config.rank_w, "a": config.rank_a, "g": config.rank_g}
    k_k = tensor(f"{att}.k_k")
    low_in = k_k.new_zeros(4, c, max(ranks.values()))
    low_out = k_k.new_zeros(4, max(ranks.values()), c)
    for row, (name, rank) in enumerate(ranks.items()):
        if name != "v" or i > 0:
            low_in[row, :, :rank] = tensor(f"{att}.{name}1")
            low_out[row, :rank] = tensor(f"{att}.{name}2")
    vectors = [tensor(f"{att}.v0") if i > 0 else torch.zeros_like(k_k)]
    vectors += [tensor(f"{att}.w0"), tensor(f"{att}.a0"), k_k]
    vectors += [tensor(f"{att}.{n}") for n in ("k_a", "r_k", "ln_x.weight", "ln_x.bias")]
    products = [tensor(f"{att}.{n}.weight").T for n in ("receptance", "key", "value")]

    def norm(name: str) -> Norm:
        return tensor(f"blocks.{i}.{name}.weight"), tensor(f"blocks.{i}.{name}.bias")

    return TorchLayer(
        ln1=norm("ln1"),
        ln2=norm("ln2"),
        mixes_61C=torch.stack([tensor(f"{att}.x_{s}").reshape(1, c) for s in "rkvwag"]),
        rkv_3CC=torch.stack(products).to(dtype),
        low_in_4CD=low_in.to(dtype),
        low_out_4DC=low_out.to(dtype),
        heads_8C=torch.stack([vector.reshape(c) for vector in vectors]),
        output_CC=tensor(f"{att}.output.weight").to(dtype),
        ffn_mix_C=tensor(f"{ffn}.x_k").reshape(c),
        ffn_key_FC=tensor(f"{ffn}.key.weight").to(dtype),
        ffn_value_CF=tensor(f"{ffn}.value.weight").to(dtype),
        enn_VC=tensor(f"{ffn}.enn.weight").to(dtype) if config.enn else None,
    )


def mix_heads(
    rkv_3RC: torch.Tensor,
    gates_4RC: torch.Tensor,
    heads_8C: torch.Tensor,
    v_first_RC: torch.Tensor,
    wkv_BHNN: torch.Tensor,
    *,
    first: bool,
) -> torch.Tensor:
    """From a block's products to what its output matrix takes [R, C]; moves `wkv` on. gates: of v,
    w, a and g, without the constants of the first three. The first layer sets `v_first`."""
    states, heads = wkv_BHNN.shape[:2]
    r_RC, k_RC, v_RC = rkv_3RC.float()
    v0_C, w0_C, a0_C, k_k_C, k_a_C, r_k_C, ln_weight_C, ln_bias_C = heads_8C
    if first:
        v_first_RC.copy_(v_RC)
    else:
        v_RC = torch.lerp(v_RC, v_first_RC, torch.sigmoid(v0_C + gates_4RC[0].float()))
    w_RC = torch.exp(LOG_DECAY * torch.sigmoid(w0_C + gates_4RC[1].float()))
    a_RC = torch.sigmoid(a0_C + gates_4RC[2].float())

    def by_head(x_RC: torch.Tensor) -> torch.Tensor:
        return x_RC.reshape(states, -1, heads, HEAD_SIZE)

    kk_BTHN = F.normalize(by_head(k_RC * k_k_C), dim=-1, eps=1e-12)
    k_RC = k_RC * (1 + (a_RC - 1) * k_a_C)
    r_BTHN, w_BTHN, k_BTHN, v_BTHN = map(by_head, (r_RC, w_RC, k_RC, v_RC))
    kka_BTHN = kk_BTHN * by_head(a_RC)
    y_BTHN = torch.empty_like(v_BTHN)
    for t in range(v_BTHN.shape[1]):
        removed_BHN = torch.einsum("bhij,bhj->bhi", wkv_BHNN, kk_BTHN[:, t])
        wkv_BHNN.mul_(w_BTHN[:, t, :, None])
        wkv_BHNN.addcmul_(removed_BHN[..., None], kka_BTHN[:, t, :, None], value=-1)
        wkv_BHNN.addcmul_(v_BTHN[:, t, ..., None], k_BTHN[:, t, :, None])
        y_BTHN[:, t] = torch.einsum("bhij,bhj->bhi", wkv_BHNN, r_BTHN[:, t])
    y_BTHN = F.layer_norm(y_BTHN, (HEAD_SIZE,), eps=GROUP_NORM_EPS)
    y_RC = y_BTHN.reshape(v_RC.shape) * ln_weight_C + ln_bias_C
    r_k_HN = r_k_C.reshape(heads, HEAD_SIZE)
    bonus_BTH1 = (r_BTHN * k_BTHN * r_k_HN).sum(-1, keepdim=True)
    y_RC = (y_RC + (bonus_BTH1 * v_BTHN).reshape(v_RC.shape)) * gates_4RC[3].float()
    mixed_RC: torch.Tensor = y_RC.to(rkv_3RC.dtype)
    return mixed_RC


def draw_ids(
    logits_BV: torch.Tensor, allowed_BV: torch.Tensor, wishes_B5: torch.Tensor
) -> torch.Tensor:
    """Ids [B], as `sampling.draw_numpy` draws them. wishes, float64: temperature, top_p, top_k,
    min_p, and u in [0, 1)."""
    temperature_B1, top_p_B1, top_k_B1, min_p_B1, u_B1 = torch.split(wishes_B5, 1, dim=1)
    scores_BV = logits_BV.double().masked_fill(~allowed_BV, -torch.inf)
    scores_BV, ids_BV = scores_BV.sort(dim=1, descending=True, stable=True)
    coldness_B1 = temperature_B1.clamp_min(1e-9)
    weights_BV = torch.exp((scores_BV - scores_BV[:, :1]) / coldness_B1)
    sums_BV = weights_BV.cumsum(1)
    keep_B1 = allowed_BV.sum(1, keepdim=True)
    keep_B1 = torch.where(top_k_B1 > 0, torch.minimum(keep_B1, top_k_B1.long()), keep_B1)
    likely_B1 = (weights_BV >= min_p_B1).sum(1, keepdim=True)
    keep_B1 = torch.where(min_p_B1 > 0, torch.minimum(keep_B1, likely_B1), keep_B1)
    enough_B1 = (sums_BV < top_p_B1 * sums_BV[:, -1:]).sum(1, keepdim=True) + 1
    keep_B1 = torch.where(top_p_B1 < 1, torch.minimum(keep_B1, enough_B1), keep_B1)
    keep_B1 = torch.where(temperature_B1 > 0, keep_B1, torch.ones_like(keep_B1))
    reached_B1 = u_B1 * sums_BV.gather(1, keep_B1 - 1)
    place_B1 = torch.minimum((sums_BV < reached_B1).sum(1, keepdim=True), keep_B1 - 1)
    return ids_BV.gather(1, place_B1)[:, 0]
