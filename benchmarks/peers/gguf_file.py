"""A checkpoint of ours as a GGUF file that llama.cpp runs: architecture `rwkv7`.

What belongs to which name, and what stays in float32 or float16 whatever the type, is as
llama.cpp's own tools have it, so that these are the files that people run.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType

from rwkv_music.model.weights import load_weights

_FILE_TYPES = {"F16": 1, "Q4_0": 2, "Q8_0": 7}


def write_gguf(checkpoint: Path, path: Path, kind: str) -> None:
    """`kind`: F16, Q8_0 or Q4_0. The file appears when it is complete."""
    part = path.with_suffix(".part")
    weights = load_weights(checkpoint)
    config, tensors = weights.config, weights.tensors
    out = gguf.GGUFWriter(str(part), "rwkv7")
    out.add_name(checkpoint.stem)
    out.add_vocab_size(config.vocabulary)
    out.add_tokenizer_model("no_vocab")
    out.add_context_length(1 << 20)
    out.add_embedding_length(config.width)
    out.add_block_count(config.layers)
    out.add_layer_norm_eps(1e-5)
    out.add_wkv_head_size(64)
    out.add_decay_lora_rank(config.rank_w)
    out.add_iclr_lora_rank(config.rank_a)
    out.add_value_residual_mix_lora_rank(config.rank_v)
    out.add_gate_lora_rank(config.rank_g)
    out.add_feed_forward_length(4 * config.width)
    out.add_head_count(0)
    out.add_file_type(_FILE_TYPES[kind])
    whole = GGMLQuantizationType[kind]

    def put(name: str, tensor: np.ndarray, form: GGMLQuantizationType | None = None) -> None:
        tensor = np.ascontiguousarray(tensor, np.float32)
        if form is None:
            out.add_tensor(name, tensor)
        elif form == GGMLQuantizationType.F16:
            out.add_tensor(name, tensor.astype(np.float16))
        else:
            out.add_tensor(name, gguf.quants.quantize(tensor, form), raw_dtype=form)

    def norm(theirs: str, ours: str) -> None:
        put(f"{theirs}.weight", tensors[f"{ours}.weight"])
        put(f"{theirs}.bias", tensors[f"{ours}.bias"])

    put("token_embd.weight", tensors["emb.weight"], whole)
    norm("token_embd_norm", "blocks.0.ln0")
    norm("output_norm", "ln_out")
    put("output.weight", tensors["head.weight"], whole)
    for i in range(config.layers):
        block, att, ffn = f"blk.{i}", f"blocks.{i}.att", f"blocks.{i}.ffn"
        norm(f"{block}.attn_norm", f"blocks.{i}.ln1")
        norm(f"{block}.attn_norm_2", f"blocks.{i}.ln2")
        norm(f"{block}.time_mix_ln", f"{att}.ln_x")
        mixes = [tensors[f"{att}.x_{s}"].reshape(1, 1, config.width) for s in "rwkvag"]
        put(f"{block}.time_mix_lerp_fused.weight", np.stack(mixes))
        for rank in "wavg":
            ours = "a" if rank == "v" and i == 0 else rank  # the first layer's is not read
            if rank != "g":
                put(f"{block}.time_mix_{rank}0.weight", tensors[f"{att}.{ours}0"].reshape(-1))
            form = None if rank == "w" else GGMLQuantizationType.F16
            for side in "12":
                put(f"{block}.time_mix_{rank}{side}.weight", tensors[f"{att}.{ours}{side}"].T, form)
        for name in ("k_k", "k_a", "r_k"):
            put(f"{block}.time_mix_{name}.weight", tensors[f"{att}.{name}"].reshape(-1))
        for name in ("receptance", "key", "value", "output"):
            put(f"{block}.time_mix_{name}.weight", tensors[f"{att}.{name}.weight"], whole)
        put(f"{block}.channel_mix_lerp_k.weight", tensors[f"{ffn}.x_k"].reshape(1, 1, -1))
        for name in ("key", "value"):
            put(f"{block}.channel_mix_{name}.weight", tensors[f"{ffn}.{name}.weight"], whole)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    part.replace(path)
