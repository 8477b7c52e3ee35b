"""A model's figures as the tables of its card: losses beside baselines, after little and much
context, in an old state; what it plays beside what composers wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import Phrase
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import Vocabulary

from .completions import Completion, complete_pieces
from .copying import Copied, copied_of
from .evaluate import Floats, Loss, Targets, Teller, losses_by_part, told, windows_by_set
from .last_bar import LastBar
from .likeness import Likeness, Overlap, Scalar, likeness
from .model import Rwkv7
from .ngram import NGram
from .passages import passages, with_imprecise_context
from .pieces import Piece, read_split
from .report import Table
from .strung import CONTEXT_BARS, TOLD_BARS, strung_losses

CONTEXTS = (2, 4, 8, 16, 64)  # bars
IMPRECISE_SHARE = 0.3  # at 120 BPM and a spread of 20 ms, as many onsets are a step off
BARS = 4  # told after each context
HEARD_BARS = 16  # before a completion
SHORT_BARS, LONG_BARS = 4, 16

Tellers = Mapping[str, Teller]


def baselines(data: Path, vocabulary: Vocabulary, order: int) -> dict[str, Teller]:
    """The last bar again, and an n-gram, of the training split; order 0: none."""
    if not order:
        return {}
    train = read_split(data, "train", vocabulary)
    return {
        f"{order}-gram": NGram(train, vocabulary, order),
        "the last bar again": LastBar(train[:: max(len(train) // 500, 1)], vocabulary),
    }


def loss_tables(
    tellers: Tellers,
    pieces: Sequence[Piece],
    vocabulary: Vocabulary,
    length: int,
    context_bars: int,
    count: int,
) -> list[Table]:
    """All tellers on the same windows; then the parts of the first one's loss, beside the
    second's."""
    sets = windows_by_set(pieces, vocabulary, length, context_bars, count)
    windows = [window for some in sets.values() for window in some]
    targets = Targets.of(windows, vocabulary)
    nats = {name: np.concatenate(teller.nats(windows)) for name, teller in tellers.items()}
    losses = {name: targets.loss(each, vocabulary) for name, each in nats.items()}
    whole = next(iter(losses.values()))
    bars = f"{context_bars} bar{'s' if context_bars != 1 else ''}"
    about = (
        f"{whole.targets} targets, {whole.notes} notes of the validation split, after {bars} of"
        f" context, in windows of up to {length} tokens."
    )
    rows: list[tuple[str, ...]] = [(name, *_shown(loss)) for name, loss in losses.items()]
    tables = [Table(about, ("", "nats a target", "bits a note"), rows)]
    counts = {name: len(some) for name, some in sets.items()}
    parts = {
        name: losses_by_part(each, targets, counts, vocabulary)
        for name, each in list(nats.items())[:2]
    }
    first, *others = parts
    for part, found in parts[first].items():
        heads = (part, "targets", f"{first}: nats", "bits a note", *(f"{o}: nats" for o in others))
        rows = [
            (
                name,
                f"{loss.targets}",
                f"{loss.nats:.3f}",
                f"{loss.bits_a_note:.2f}" if part != "kind of token" else "",
                *(f"{parts[other][part][name].nats:.3f}" for other in others),
            )
            for name, loss in found.items()
        ]
        tables.append(Table(f"The same by {part}.", heads, rows))
    return tables


def context_tables(
    tellers: Tellers, pieces: Sequence[Piece], vocabulary: Vocabulary, count: int
) -> list[Table]:
    """The same bars after 2 to 64 bars of context, as far as pieces are long enough."""
    longest = max(len(piece.bars) - 1 - BARS for piece in pieces)
    contexts = [bars for bars in CONTEXTS if bars <= longest] or [max(longest, 1)]
    places = passages(pieces, count, contexts[-1], BARS)
    rows: dict[str, list[Loss]] = {name: [] for name in tellers}
    first = next(iter(tellers))
    played = f"{first}, context played imprecisely"
    rows[played] = []
    of_places: list[Floats] = []  # the first one's nats of each passage, after each context
    for bars in contexts:
        windows = [place.after(bars, vocabulary) for place in places]
        targets = Targets.of(windows, vocabulary)
        for name, teller in tellers.items():
            told_nats = teller.nats(windows)
            rows[name].append(targets.loss(np.concatenate(told_nats), vocabulary))
            if name == first:
                of_places.append(np.array([passage.sum() for passage in told_nats]))
        shaky = [with_imprecise_context(w, vocabulary, IMPRECISE_SHARE) for w in windows]
        rows[played].append(told(tellers[first], shaky, vocabulary))
    loss = rows[first][0]
    about = (
        f"The same {len(places)} passages of {BARS} bars ({loss.targets} targets, {loss.notes}"
        f" notes) after more and more context: bits a note. Imprecisely: {IMPRECISE_SHARE:.0%} of"
        " the context's onsets and durations are a step off."
    )
    heads = ("bars of context", *map(str, contexts))
    if len(contexts) > 1:
        shortest, at = contexts[0], max(i for i, bars in enumerate(contexts) if bars <= 16)
        gain, error = _gain(of_places[0], of_places[at])
        about += f" {first.capitalize()}: {gain:.1%} ± {error:.1%} less after {contexts[at]} bars"
        about += f" than after {shortest}."
    bits = [(name, *(f"{x.bits_a_note:.2f}" for x in each)) for name, each in rows.items()]
    nats = [(f"{name}: nats", *(f"{x.nats:.3f}" for x in rows[name])) for name in (first, played)]
    return [Table(about, heads, bits + nats)]


def _gain(before: Floats, after: Floats) -> tuple[float, float]:
    """The share by which the sum of `after` is less, and its standard error, that of a ratio of
    means over the same passages."""
    whole = max(float(before.sum()), 1e-9)
    gain = 1 - float(after.sum()) / whole
    return gain, float(np.sqrt(np.square(before - after - gain * before).sum())) / whole


def strung_table(
    model: Rwkv7, pieces: Sequence[Piece], vocabulary: Vocabulary, tokens: int
) -> Table:
    """One state after so many tokens, against a fresh one."""
    ages = strung_losses(model, pieces, vocabulary, tokens)
    fresh = ages[0].fresh
    about = (
        "One state that has heard validation pieces strung together for so many tokens and then"
        f" {CONTEXT_BARS} bars of another, telling the next {TOLD_BARS} ({fresh.targets} targets),"
        f" against a fresh one after the same {CONTEXT_BARS} bars"
        f" ({fresh.bits_a_note:.2f} bits a note)."
    )
    rows = [
        (
            f"{age.tokens}",
            f"{age.old.bits_a_note:.2f}",
            f"{age.old.nats / max(age.fresh.nats, 1e-9) - 1:+.1%}",
        )
        for age in ages
    ]
    return Table(about, ("tokens heard before", "bits a note", "against a fresh state"), rows)


def likeness_tables(
    player: MusicModel[Any],
    pieces: Sequence[Piece],
    count: int,
) -> list[Table]:
    """Short and long completions beside the true ones."""
    tables = []
    for bars in (SHORT_BARS, LONG_BARS):
        made = list(complete_pieces(player, pieces, count, context_bars=HEARD_BARS, bars=bars))
        tables += _likeness_tables(likeness(made), bars, count)
    return tables


def copying_table(
    player: MusicModel[Any], pieces: Sequence[Piece], train: Sequence[Piece], count: int
) -> Table:
    """What the model plays, looked for in its training data."""
    completions = long_completions(player, pieces, count)
    made = copied_of((each.made for each in completions), train)
    true = copied_of((each.truth for each in completions), train)
    about = (
        f"{count} completions of {LONG_BARS} bars after {HEARD_BARS}: the share of their runs of"
        " notes that stand somewhere in the training data, in some key, and the longest run of each"
        " that does, in notes; and the same of the true continuations."
    )
    rows: list[tuple[str, ...]] = []
    for length in made.shares:
        more, error = made.more_than(true, length)
        shares = (f"{copied.shares[length]:.2%}" for copied in (made, true))
        rows.append((f"runs of {length} notes", *shares, f"{more:+.2%} ± {error:.2%}"))
    for name, percent in (("median", 50), ("nine of ten below", 90), ("of all", 100)):
        notes = (f"{np.percentile(copied.longest, percent):.0f}" for copied in (made, true))
        rows.append((f"longest run: {name}", *notes, ""))
    return Table(about, ("", "model", "real pieces", "difference"), rows)


def long_completions(
    player: MusicModel[Any], pieces: Sequence[Piece], count: int, sampling: Sampling | None = None
) -> list[Completion]:
    made = complete_pieces(
        player, pieces, count, context_bars=HEARD_BARS, bars=LONG_BARS, sampling=sampling
    )
    return list(made)


def sampling_table(
    player: MusicModel[Any],
    pieces: Sequence[Piece],
    train: Sequence[Piece],
    count: int,
    settings: Sequence[Sampling],
    say: Callable[[str], None] = lambda what: None,
) -> Table:
    """How far from the truth each way of drawing leads. Marked is the nearest of those that copy
    no more than composers do, as far as the completions can tell."""
    found: dict[Sampling, Likeness] = {}
    copied: dict[Sampling, Copied] = {}
    truths: list[Phrase] = []
    for sampling in settings:
        say(f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}")
        made = long_completions(player, pieces, count, sampling)
        found[sampling] = likeness(made)
        copied[sampling] = copied_of((each.made for each in made), train)
        truths = [each.truth for each in made]  # the same whatever the way to draw
    true = copied_of(truths, train)
    allowed = [sampling for sampling in found if not _copies(copied[sampling], true)]
    best = min(allowed or found, key=lambda sampling: found[sampling].distance)
    some = found[best]
    lengths = true.shares
    composers = " and ".join(f"{share:.2%} of {length} notes" for length, share in lengths.items())
    about = (
        f"{count} completions of {LONG_BARS} bars after {HEARD_BARS}, for each temperature and"
        " top-p: how far off the means are, in standard deviations of the true continuations; what"
        " the histograms have in common with the true ones, against two halves of real passages;"
        " `distance`, the mean of the former without their sign plus the mean shortness of the"
        " latter; and the share of runs that stand in the training data, of the true ones"
        f" {composers}. Marked: the nearest of those that do not copy more, by two standard errors."
    )
    runs = (f"runs of {length} notes" for length in lengths)
    heads = ("temperature", "top-p", "distance", *some.scalars, *some.overlaps, *runs)
    rows = [
        (
            f"{sampling.temperature:g}",
            f"{sampling.top_p:g}",
            f"**{alike.distance:.3f}**" if sampling == best else f"{alike.distance:.3f}",
            *map(_off, alike.scalars.values()),
            *map(_difference, alike.overlaps.values()),
            *(f"{share:.2%}" for share in copied[sampling].shares.values()),
        )
        for sampling, alike in found.items()
    ]
    return Table(about, heads, rows)


def _copies(made: Copied, true: Copied) -> bool:
    """More than chance would have it."""
    over = (made.more_than(true, length) for length in made.shares)
    return any(more > 2 * error for more, error in over)


def _difference(overlap: Overlap) -> str:
    return f"{overlap.difference:+.1%} ± {overlap.error:.1%}"


def _off(scalar: Scalar) -> str:
    """A dash where the true ones are all alike, as with a single piece: nothing to measure by."""
    return f"{scalar.off:+.2f}" if scalar.spread > 0 else "-"


def _likeness_tables(alike: Likeness, bars: int, count: int) -> list[Table]:
    scalars = [
        (name, f"{x.made:.3f}", f"{x.true:.3f}", _off(x)) for name, x in alike.scalars.items()
    ]
    overlaps = [
        (name, f"{x.made:.3f}", f"{x.halves:.3f}", _difference(x))
        for name, x in alike.overlaps.items()
    ]
    return [
        Table(
            f"{count} completions of {bars} bars after {HEARD_BARS}, beside the true ones; off: in"
            " standard deviations of the true ones.",
            ("", "model", "true", "off"),
            scalars,
        ),
        Table(
            "What their histograms have in common with the true ones', and what the"
            f" {bars} bars before have, which is the other half of a real passage.",
            ("", "model", "halves", "difference"),
            overlaps,
        ),
    ]


def _shown(loss: Loss) -> tuple[str, str]:
    return f"{loss.nats:.4f}", f"{loss.bits_a_note:.2f}"
