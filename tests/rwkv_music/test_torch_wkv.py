"""The Triton kernel says what plain PyTorch says: in Triton's interpreter, where there is one."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("triton")), reason="PyTorch or Triton is not installed"
)

PROGRAM = """
import torch
from rwkv_music.engine.torch_layers import mix_heads
from rwkv_music.engine.torch_wkv import mix_heads_fused

torch.manual_seed(0)
for states, tokens, heads, first in ((1, 1, 2, True), (2, 1, 3, False), (1, 5, 2, False)):
    width, rows = 64 * heads, states * tokens
    rkv, gates = torch.randn(3, rows, width), torch.randn(4, rows, width)
    vectors, v_first = torch.randn(8, width), torch.randn(rows, width)
    whole = 0.3 * torch.randn(states, 4096 * heads + 7)  # a layer of a larger state
    results = []
    for mix in (mix_heads, mix_heads_fused):
        state, v = whole.clone(), v_first.clone()
        wkv = state[:, : 4096 * heads].view(states, heads, 64, 64)
        results.append((mix(rkv, gates, vectors, v, wkv, first=first), state, v))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
"""


def test_the_kernel_says_what_plain_pytorch_says():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
