"""From MIDI files to a model that the daemon loads, with its memories and its card: each stage into
one folder, each done once.

    prepared/           what `train prepare` wrote
    run/                the run: checkpoint, log, TensorBoard
    model.safetensors   what the daemon loads
    memories/           its named memories
    card.md             its figures
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from .card import LEAST, SECTIONS, Effort, write_card
from .checkpoint import load_run, training_facts
from .config import TrainConfig, read_config
from .loop import CHECKPOINT
from .prepare import PrepareOptions, prepare
from .report import has_section, put_into, text_of
from .session import train
from .styles import TUNING, make_memories
from .weights import export_weights, playable_weights

RECIPE = "starter.yaml"
MEMORIES = "memories"  # the section of the card
# The whole recipe in less than a minute, to see that it works: its model is worth nothing.
TINY = (
    "model.layers=2",
    "model.width=64",
    "data.windows.length=128",
    "optimiser.warmup_steps=2",
    "run.steps=20",
    "run.batch=2",
    "run.log_every=10",
    "run.save_every=10",
    "run.validate_every=20",
    "run.validation_windows=2",
)


@dataclass(frozen=True, slots=True)
class Products:
    """Where each stage leaves what."""

    folder: Path

    @property
    def prepared(self) -> Path:
        return self.folder / "prepared"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def checkpoint(self) -> Path:
        return self.run / CHECKPOINT

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def memories(self) -> Path:
        return self.folder / "memories"

    @property
    def card(self) -> Path:
        return self.folder / "card.md"


def read_recipe(
    path: Path | None, folder: Path, overrides: Sequence[str] = (), *, tiny: bool = False
) -> TrainConfig:
    """A recipe's settings, its folders below `folder`; without a path, the package's recipe.
    Raises ConfigError."""
    products = Products(folder)
    settings = (
        *(TINY if tiny else ()),
        *overrides,
        f"data.folder={products.prepared}",
        f"run.folder={products.run}",
    )
    if path is not None:
        return read_config(path, settings)
    with resources.as_file(resources.files("rwkv_music_train") / "recipes" / RECIPE) as file:
        return read_config(file, settings)


def follow(
    config: TrainConfig,
    places: Sequence[Path],
    folder: Path,
    *,
    tiny: bool = False,
    options: PrepareOptions | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> bool:
    """Do what has not been done yet; False when training was stopped, which the next call
    continues. Raises ConfigError, CheckpointError."""
    products = Products(folder)
    say("prepare")
    done = prepare(places, products.prepared, options, workers=workers)
    for split, pieces in done.pieces.items():
        say(f"  {split}: {pieces} pieces, {done.tokens[split]} tokens; refused {len(done.refused)}")
    say("train")
    if not _trained(products, config):
        finished, _ = train(config)
        if not finished:
            say(f"stopped and saved in {products.checkpoint}; the same command goes on from there")
            return False
    say("export")
    if not _newer(products.model, products.checkpoint):
        stored = load_run(products.checkpoint)
        export_weights(products.model, stored.model(), training_facts(stored))
    if not _newer(products.card, products.model):
        products.card.unlink(missing_ok=True)
    weights = playable_weights(products.model)
    if not has_section(products.card, MEMORIES):
        say(MEMORIES)
        tuning = replace(TUNING, steps=2, check_every=1) if tiny else TUNING
        tables = make_memories(weights, products.prepared, products.memories, tuning, say)
        put_into(products.card, MEMORIES, text_of(tables) or "No memories come with it.")
    missing = [section for section in SECTIONS if not has_section(products.card, section)]
    effort = LEAST if tiny else Effort()
    write_card(products.card, weights, products.prepared, effort, sections=missing, say=say)
    say(f"{products.model}: play it with rwkv-music-daemon run --set model.path={products.model}")
    return True


def _trained(products: Products, config: TrainConfig) -> bool:
    if not products.checkpoint.exists():
        return False
    return load_run(products.checkpoint).progress.step >= config.run.steps


def _newer(target: Path, source: Path) -> bool:
    return target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns
