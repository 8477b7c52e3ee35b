"""llama.cpp through its low-level calls, without sampling: python -m ... CHECKPOINT TYPE THREADS"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import llama_cpp
import numpy as np

from rwkv_music.model.weights import load_weights

from .gguf_file import write_gguf
from .serving import claim_output, serve

_CONTEXT = 4096


def quiet(level: int, text: bytes, data: ctypes.c_void_p) -> None:
    """What llama.cpp says while it loads."""


def main() -> None:
    answers = claim_output()
    checkpoint, kind, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    file = checkpoint.with_suffix(f".{kind}.gguf")
    if not file.is_file():
        write_gguf(checkpoint, file, kind)
    vocabulary = load_weights(checkpoint).config.vocabulary
    hush = llama_cpp.llama_log_callback(quiet)
    llama_cpp.llama_log_set(hush, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        str(file).encode(), llama_cpp.llama_model_default_params()
    )
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx = _CONTEXT
    settings.n_threads = settings.n_threads_batch = threads
    context = llama_cpp.llama_init_from_model(model, settings)
    if not context:
        raise RuntimeError(f"llama.cpp does not load {file.name}")

    def call(tokens: list[int], what: str) -> None:
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(tokens))):
            raise RuntimeError("llama_decode failed")
        llama_cpp.llama_get_logits_ith(context, -1)

    call([1], "step")
    logits = llama_cpp.llama_get_logits_ith(context, -1)
    if not np.isfinite(np.ctypeslib.as_array(logits, shape=(vocabulary,))).all():
        raise RuntimeError(f"{file.name}: logits are no finite numbers")
    serve(answers, f"llama.cpp, {kind}", vocabulary, call)


if __name__ == "__main__":
    main()
