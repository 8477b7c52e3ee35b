"""A Llama of as many weights for a layer, with a KV cache, in PyTorch on the CPU:
python -m ... CHECKPOINT fp32|bf16 THREADS CONTEXT,...

Its weights and its history are random: the work is that of real ones. The shape is that of the
checkpoint; the feed-forward is as wide as makes the layers equally large. `step 256` hears a token
after so many.
"""

from __future__ import annotations

import os
import sys

path, precision, threads, contexts = sys.argv[1:]
os.environ.update(OMP_NUM_THREADS=threads, HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")

import torch  # noqa: E402
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM  # noqa: E402

from rwkv_music.model.weights import load_weights  # noqa: E402

from .serving import claim_output, serve  # noqa: E402


def main() -> None:
    answers = claim_output()
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    config = load_weights(path).config
    c, layers = config.width, config.layers
    block = (config.parameters - 2 * config.vocabulary * c) / layers
    shape = LlamaConfig(
        vocab_size=config.vocabulary,
        hidden_size=c,
        intermediate_size=round((block - 4 * c * c) / (3 * c) / 8) * 8,
        num_hidden_layers=layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        head_dim=64,
        max_position_embeddings=1 << 15,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
    )
    kind = torch.float32 if precision == "fp32" else torch.bfloat16
    torch.set_default_dtype(kind)
    model = LlamaForCausalLM(shape).eval()
    histories = {}
    for start in map(int, contexts.split(",")):
        history = DynamicCache(config=shape)
        for layer in range(layers):
            size = (1, config.heads, start, 64)
            history.update(torch.randn(size, dtype=kind), torch.randn(size, dtype=kind), layer)
        histories[f"step {start}"] = history, start
    places = {what: start for what, (_, start) in histories.items()}

    def call(tokens: list[int], what: str) -> None:
        ids = torch.tensor([tokens])
        if len(tokens) > 1:  # a prefill begins without a history: the cheapest there is
            model(input_ids=ids, use_cache=True, logits_to_keep=1)
            return
        history, start = histories[what]
        if places[what] - start >= 256:  # the context stays what it is called
            history.crop(start)
            places[what] = start
        model(
            input_ids=ids,
            past_key_values=history,
            use_cache=True,
            position_ids=torch.tensor([[places[what]]]),
        )
        places[what] += 1

    serve(answers, f"transformer, {precision}", config.vocabulary, call)


if __name__ == "__main__":
    main()
