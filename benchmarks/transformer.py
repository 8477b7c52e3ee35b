"""A Llama-style transformer of equal size on the same tokens: is the recurrence worth it?

    python -m benchmarks.transformer --data FOLDER [--size tiny] [--steps 200] [--rates 6e-4,1.2e-3]
                                     [--decays 0,0.1] [--json FILE]
    python -m benchmarks.transformer --data FOLDER --like MODEL --rates 1.5e-3 [--budgets 0.1,1]

FOLDER is what `train prepare` wrote. Both models have about as many parameters, and read the same
packed windows in the same order with the same optimiser; every pair of rate and weight decay is
tried with both, and the best of each is compared on the same validation windows. The budget is
what --steps, --batch and --length say: the figures are of models trained for so long, and say
nothing about longer runs.

--like trains transformers alone, as that MODEL was trained: as many steps of the same data with
its settings, which stand in its file; both are told the same windows of the validation split.
--budgets are shares of those steps, for choosing a rate before the whole run.

The transformer: RMSNorm before each half of a layer, rotary positions counted from each window's
start, causal attention inside the window, SwiGLU of 8/3 the width, no biases, an output matrix of
its own (Touvron et al., 2023), start values of standard deviation 0.02, those of the matrices that
write into the residual stream divided by the root of twice the layers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rwkv_music_train.config import (
    SIZES,
    OptimiserOptions,
    TrainConfig,
    config_from_table,
    read_config,
)
from rwkv_music_train.evaluate import Loss, Network, Targets, told, windows_by_set
from rwkv_music_train.loop import compile_blocks
from rwkv_music_train.loss import Inputs, Objective
from rwkv_music_train.optimiser import EPS, make_optimiser, rate_at, set_rate
from rwkv_music_train.pieces import read_split
from rwkv_music_train.reading import make_reader
from rwkv_music_train.weights import model_of, new_model
from rwkv_music_train.windows import Window, validation_windows
from torch import Tensor, nn

from rwkv_music.model.weights import load_weights
from rwkv_music.tokenizer import load_vocabulary

from .figures import machine, table, write

HEAD_SIZE = 64
ROTARY_BASE = 10_000.0
CONTEXT_BARS = 4
JUDGED_LENGTH = 1024  # with --like: the windows of the model's card
TOLD_EVERY = 100  # steps

Turns = tuple[Tensor, Tensor]  # cosines and sines of each position, [B, T, N / 2]


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_SIZE
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x_BTC: Tensor, turns: Turns, mask_BTT: Tensor | None) -> Tensor:
        batch, steps, width = x_BTC.shape
        parts = self.query_key_value(x_BTC).view(batch, steps, 3, self.heads, HEAD_SIZE)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        q, k = turned(q, turns), turned(k, turns)
        mask = None if mask_BTT is None else mask_BTT[:, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        result: Tensor = self.output(out.transpose(1, 2).reshape(batch, steps, width))
        return result


def turned(x_BHTN: Tensor, turns: Turns) -> Tensor:
    """Rotary positions (Su et al., 2021): the two halves of a head as pairs."""
    cos, sin = (turn[:, None].to(x_BHTN.dtype) for turn in turns)
    a, b = x_BHTN.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class SwiGlu(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate, self.key = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.value = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.value(F.silu(self.gate(x)) * self.key(x))
        return result


class Block(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention, self.ffn = Attention(width), SwiGlu(width, inner)

    def forward(self, x: Tensor, turns: Turns, mask: Tensor | None) -> Tensor:
        x = x + self.attention(self.norm1(x), turns, mask)
        return x + self.ffn(self.norm2(x))


class Llama(nn.Module):
    """Has the interface of `Rwkv7` as far as training and evaluation use it. Shapes as there."""

    def __init__(self, layers: int, width: int, vocabulary: int) -> None:
        super().__init__()
        inner = -(-8 * width // 3 // 32) * 32
        self.emb = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, inner) for _ in range(layers))
        self.ln_out = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                writes = name.endswith((".output.weight", ".ffn.value.weight"))
                nn.init.normal_(parameter, std=0.02 / ((2 * layers) ** 0.5 if writes else 1))

    def hidden(
        self, tokens_BT: Tensor, states: None, resets_BT: Tensor | None, kept: Any
    ) -> tuple[Tensor, list[Any]]:
        """What the head reads, [R, C], of the positions `kept`. There are no states."""
        steps = tokens_BT.shape[1]
        begins = torch.zeros_like(tokens_BT) if resets_BT is None else resets_BT.long()
        window_BT = begins.cumsum(1)
        mask_BTT = None  # a row that is one window: causal attention is all
        if resets_BT is not None:
            mask_BTT = (window_BT[:, :, None] == window_BT[:, None, :]).tril()
        place_T = torch.arange(steps, device=tokens_BT.device)
        start_BT = (begins * place_T).cummax(1).values
        rates_N = ROTARY_BASE ** -(
            torch.arange(HEAD_SIZE // 2, device=tokens_BT.device) / (HEAD_SIZE // 2)
        )
        angles_BTN = (place_T - start_BT)[..., None] * rates_N
        turns = angles_BTN.cos(), angles_BTN.sin()
        x = self.emb(tokens_BT)
        for block in self.blocks:
            x = block(x, turns, mask_BTT)
        return self.ln_out(x.reshape(-1, x.shape[-1])[kept.rows]), []


def parameters_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def llama_like(size: int, width: int, vocabulary: int) -> Llama:
    """The transformer of that width whose number of parameters is nearest to `size`."""
    models = (Llama(layers, width, vocabulary) for layers in range(1, 65))
    return min(models, key=lambda model: abs(parameters_of(model) - size))


def optimiser_of(model: nn.Module, options: OptimiserOptions) -> torch.optim.Optimizer:
    """The same AdamW for both; all matrices of the transformer decay, its norms do not."""
    if not isinstance(model, Llama):
        return make_optimiser(model, options)
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "rate_scale": 1.0, "weight_decay": options.weight_decay},
        {"params": vectors, "rate_scale": 1.0, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.rate, betas=options.betas, eps=EPS, fused=True)


def trained(model: Any, config: TrainConfig, windows: list[Window]) -> tuple[Loss, float, float]:
    """Train in place; the validation loss, the last steps' training loss, and the seconds."""
    vocabulary = load_vocabulary()
    run = config.run
    pieces = read_split(Path(config.data.folder), "train", vocabulary)
    reader = make_reader(pieces, vocabulary, config.data, run.batch, run.seed)
    optimiser = optimiser_of(model, config.optimiser)
    objective = Objective(model)
    if run.compile:
        compile_blocks(model.blocks)
    started, last = time.monotonic(), []
    model.train()
    for step in range(run.steps):
        batch = reader.read(step, range(run.batch))
        with torch.autocast("cpu", torch.bfloat16, enabled=run.precision == "bfloat16"):
            loss = objective(Inputs.of(batch))[0] / len(batch.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimiser.clip)
        set_rate(optimiser, rate_at(step, run.steps, config.optimiser))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        last.append(loss.item())
        if step % TOLD_EVERY == TOLD_EVERY - 1:
            seconds = time.monotonic() - started
            print(
                f"step {step + 1}, {seconds:.0f} s: {np.mean(last[-TOLD_EVERY:]):.3f}", flush=True
            )
    seconds = time.monotonic() - started
    return (
        told(Network(model, vocabulary), windows, vocabulary),
        float(np.mean(last[-20:])),
        seconds,
    )


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Both kinds from nothing, for the budget that the options say."""
    vocabulary = load_vocabulary()
    settings = (
        f"data.folder={options.data}",
        f"data.windows.length={options.length}",
        "data.windows.imprecise_share=0",
        f"model.size={options.size}",
        "model.dropout=0",
        f"run.steps={options.steps}",
        f"run.batch={options.batch}",
        "optimiser.warmup_steps=20",
        "run.precision=" + options.precision,
    )
    base = read_config(None, settings)
    valid = read_split(Path(options.data), "valid", vocabulary)
    windows = validation_windows(valid, vocabulary, options.length, CONTEXT_BARS, options.windows)
    size = parameters_of(new_model(base.model))
    rows = []
    for config in swept(base, options):
        for name in ("rwkv", "transformer"):
            torch.manual_seed(config.run.seed)
            model = new_model(config.model) if name == "rwkv" else transformer_of(size, config)
            rows.append(figures_of(name, model, config, windows))
    return result_of(rows, len(Targets.of(windows, vocabulary).ids))


def compare_with(options: argparse.Namespace) -> dict[str, Any]:
    """Transformers trained as --like was."""
    vocabulary = load_vocabulary()
    weights = load_weights(options.like)
    facts = weights.facts or {}
    if "settings" not in facts:
        raise SystemExit(
            f"{options.like}: does not tell what it was trained with; train export does"
        )
    settings = facts["settings"]
    settings["data"].setdefault("packed", False)  # files from before rows were packed lack it
    config = config_from_table(settings, str(options.like))
    base = replace(
        config,
        data=replace(config.data, folder=str(options.data)),
        run=replace(config.run, compile=True),
    )
    valid = read_split(Path(options.data), "valid", vocabulary)
    sets = windows_by_set(valid, vocabulary, JUDGED_LENGTH, CONTEXT_BARS, options.windows)
    windows = [window for some in sets.values() for window in some]
    model = model_of(weights)
    loss = told(Network(model, vocabulary), windows, vocabulary)
    given: dict[str, Any] = {
        "model": "rwkv",
        "parameters": parameters_of(model),
        "tokens": facts["tokens_read"],
        "rate": f"{base.optimiser.rate:g}",
        "weight_decay": f"{base.optimiser.weight_decay:g}",
        "training": float("nan"),
        "nats": loss.nats,
        "bits_a_note": loss.bits_a_note,
        "seconds": float("nan"),
    }
    rows = [given]
    print(table(rows), flush=True)
    for share in options.budgets:
        run = replace(base.run, steps=max(round(share * base.run.steps), 1))
        for config in swept(replace(base, run=run), options):
            torch.manual_seed(run.seed)
            llama = transformer_of(parameters_of(model), config)
            rows.append(figures_of("transformer", llama, config, windows))
    return result_of(rows, loss.targets)


def transformer_of(size: int, config: TrainConfig) -> Llama:
    return llama_like(size, config.model.width, len(load_vocabulary()))


def swept(base: TrainConfig, options: argparse.Namespace) -> Iterator[TrainConfig]:
    """The settings with each weight decay and rate that is to be tried."""
    for decay in options.decays:
        for rate in options.rates:
            optimiser = replace(base.optimiser, rate=rate, weight_decay=decay)
            yield replace(base, optimiser=optimiser)


def figures_of(name: str, model: Any, config: TrainConfig, windows: list[Window]) -> dict[str, Any]:
    """Trains the model, and judges it: a row of the table."""
    run, optimiser = config.run, config.optimiser
    loss, learnt, seconds = trained(model, config, windows)
    row = {
        "model": name,
        "parameters": parameters_of(model),
        "tokens": run.steps * run.batch * config.data.windows.length,
        "rate": f"{optimiser.rate:g}",
        "weight_decay": f"{optimiser.weight_decay:g}",
        "training": learnt,
        "nats": loss.nats,
        "bits_a_note": loss.bits_a_note,
        "seconds": seconds,
    }
    print(table([row]), flush=True)
    return row


def result_of(rows: list[dict[str, Any]], targets: int) -> dict[str, Any]:
    best = {
        name: min((row for row in rows if row["model"] == name), key=lambda row: row["nats"])
        for name in ("rwkv", "transformer")
    }
    return {
        "benchmark": "transformer",
        "machine": machine(),
        "targets": targets,
        "rows": rows,
        "best": best,
    }


def numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def main() -> None:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--data", type=Path, required=True, help="what train prepare wrote")
    made.add_argument(
        "--like", type=Path, metavar="MODEL", help="transformers as MODEL was trained"
    )
    made.add_argument("--budgets", type=numbers, default=[1.0], help="shares of MODEL's steps")
    made.add_argument("--size", choices=list(SIZES), default="tiny")
    made.add_argument("--steps", type=int, default=200)
    made.add_argument("--batch", type=int, default=8)
    made.add_argument("--length", type=int, default=512, help="tokens a row")
    made.add_argument("--rates", type=numbers, default=[6e-4, 1.2e-3, 2.4e-3])
    made.add_argument("--decays", type=numbers, default=[0.0, 0.1])
    made.add_argument("--windows", type=int, default=200, help="of the validation split")
    made.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    made.add_argument("--json", type=Path, help="write the figures here, too")
    options = made.parse_args()
    result = compare_with(options) if options.like else compare(options)
    print(f"{result['targets']} targets of validation")
    print(table(result["rows"]))
    print("the best of each:")
    print(table(list(result["best"].values())))
    write(result, options.json)


if __name__ == "__main__":
    main()
