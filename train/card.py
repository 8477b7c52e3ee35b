"""All figures of a model's card, each section between its marks in a page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rwkv_music.errors import ConfigError
from rwkv_music.model.weights import Weights
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import load_vocabulary

from . import judge
from .completions import player_of
from .evaluate import Network, Teller
from .pieces import read_split
from .report import Table, put_into, text_of
from .weights import load_model, model_of

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: windows of the validation split (0: all), passages told after more and
    more context, tokens of one state, completions, and for each way of drawing."""

    windows: int = 400
    length: int = 1024
    context_bars: int = 4
    ngram: int = 5
    passages: int = 96
    strung: int = 100_352
    completions: int = 240
    drawn: int = 240
    temperatures: tuple[float, ...] = (0.9, 0.95, 1.0, 1.05)
    top_ps: tuple[float, ...] = (0.95, 0.98, 1.0)


LEAST = Effort(8, 256, 2, 2, 2, 1024, 1, 1, (0.95,), (0.95,))  # for trying a recipe out
SECTIONS = ("facts", "losses", "completions", "copying", "sampling")


def write_card(
    page: Path,
    weights: Weights,
    data: Path,
    effort: Effort,
    *,
    against: Sequence[Path] = (),
    sections: Sequence[str] = SECTIONS,
    say: Progress = lambda what: None,
) -> None:
    """Measure, and write each section into the page as soon as it is known. against: other models'
    weights. Raises ConfigError, CheckpointError."""
    makers: Mapping[str, Callable[[], list[Table]]] = {
        "facts": lambda: [facts_table(weights, data)],
        "losses": lambda: losses(weights, data, effort, against),
        "completions": lambda: completions(weights, data, effort),
        "copying": lambda: [copying(weights, data, effort.completions)],
        "sampling": lambda: [sampling(weights, data, effort, say)],
    }
    for section in sections:
        say(section)
        put_into(page, section, text_of(makers[section]()))


def facts_table(weights: Weights, data: Path) -> Table:
    """What the model is, what it was trained with, and what the data hold."""
    config, facts = weights.config, weights.facts or {}
    settings: dict[str, Any] = facts.get("settings", {})
    try:
        known = json.loads((data / "statistics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{data}: no statistics.json there; run train prepare again") from error
    rows = [
        ("layers, width", f"{config.layers}, {config.width}"),
        ("parameters", f"{config.parameters / 1e6:.1f} M"),
        ("file", f"{Path(weights.source).stat().st_size / 1e6:.1f} MB"),
    ]
    if "steps" in facts:
        rows += [
            ("steps", f"{facts['steps']}"),
            ("tokens read", f"{facts['tokens_read'] / 1e6:.1f} M"),
            ("of them targets", f"{facts['targets'] / 1e6:.1f} M"),
        ]
    for group in ("model", "data", "optimiser", "run"):
        chosen = settings.get(group, {})
        shown = ", ".join(f"{name} {_short(value)}" for name, value in chosen.items() if value)
        if shown:
            rows.append((f"settings: {group}", shown))
    for split, pieces in known["pieces"].items():
        rows.append((f"data: {split}", f"{pieces} pieces, {known['tokens'][split]} tokens"))
    sets = ", ".join(f"{name} {count}" for name, count in known["sets"].items())
    rows.append(("pieces of each set", sets))
    return Table("The model and its data.", ("", ""), rows)


def losses(
    weights: Weights, data: Path, effort: Effort, against: Sequence[Path] = ()
) -> list[Table]:
    """Beside baselines and other models; after much and little context; in old states."""
    vocabulary = load_vocabulary()
    model, pieces = model_of(weights), read_split(data, "valid", vocabulary)
    tellers: dict[str, Teller] = {"the model": Network(model, vocabulary)}
    tellers |= judge.baselines(data, vocabulary, effort.ngram)
    tellers |= {path.stem: Network(load_model(path), vocabulary) for path in against}
    tables = judge.loss_tables(
        tellers, pieces, vocabulary, effort.length, effort.context_bars, effort.windows
    )
    if effort.passages:
        tables += judge.context_tables(tellers, pieces, vocabulary, effort.passages)
    if effort.strung:
        tables.append(judge.strung_table(model, pieces, vocabulary, effort.strung))
    return tables


def completions(weights: Weights, data: Path, effort: Effort) -> list[Table]:
    """What the model plays, beside what composers wrote."""
    if not effort.completions:
        return []
    pieces = read_split(data, "valid", load_vocabulary())
    return judge.likeness_tables(player_of(weights), pieces, effort.completions)


def copying(weights: Weights, data: Path, count: int) -> Table:
    """What the model plays, looked for in its training data."""
    valid, train = (read_split(data, split, load_vocabulary()) for split in ("valid", "train"))
    return judge.copying_table(player_of(weights), valid, train, count)


def sampling(
    weights: Weights, data: Path, effort: Effort, say: Progress = lambda what: None
) -> Table:
    """With which temperature and top-p what the model plays is most like what composers wrote."""
    valid, train = (read_split(data, split, load_vocabulary()) for split in ("valid", "train"))
    settings = [
        Sampling(temperature=t, top_p=p) for t in effort.temperatures for p in effort.top_ps
    ]
    return judge.sampling_table(player_of(weights), valid, train, effort.drawn, settings, say)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {_short(v)}" for k, v in value.items() if v) + ")"
    return f"{value:g}" if isinstance(value, float) else str(value)
