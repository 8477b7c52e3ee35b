"""Logits, what may come, how the odds are changed and a random number to one id.

`draw` is the native module's where that was built, else `draw_numpy`: the same sums in float64 and
in the same order, so the same ids (but where exp differs in its last bit right at an edge).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .engine.extension import module as _native
from .music import HIGHEST_PITCH, LOWEST_PITCH
from .tokenizer.grammar import Ranges

_NOTHING = -1e4  # as a logarithm: of a group that has no ids left
_MOST = -_NOTHING  # that a logit may be; one that is no number is nothing
_LEAST = 1e-300  # of what is left for later: its logarithm is taken


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn; the names are those of the OSC parameters.

    temperature 0 takes the likeliest; top_k 0 and min_p 0 are off. The fields from
    `repetition_penalty` on are what `constraints.Constraints` keeps to; their defaults are off.
    """

    temperature: float = 1.0
    top_p: float = 0.98
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    key: str = "none"
    scale: str = "major"
    pitch_low: int = LOWEST_PITCH
    pitch_high: int = HIGHEST_PITCH
    density: float = 1.0
    polyphony: int = 0
    velocity_scale: float = 1.0


class Odds(NamedTuple):
    """How the odds differ from the model's. All but `density` are about the ids at this place,
    [now, now_stop): arrays count from id `first`.

    kept: which of them are left (None: all). recent, log_penalty: an id's logit becomes less by
    their product, those of all together stay as likely as they were. density: multiplies the odds
    of stopping here, and then at each position further on; what is left goes to the end.
    """

    kept: NDArray[np.bool_] | None = None
    recent: NDArray[np.float64] | None = None
    first: int = 0
    log_penalty: float = 0.0
    density: float = 1.0


UNCHANGED = Odds()


def draw(
    logits: NDArray[np.float32], ranges: Ranges, odds: Odds, sampling: Sampling, u: float
) -> int:
    """One of the ids that may come, drawn by `u` in [0, 1); -1 when none is left."""
    if _native is None:
        return draw_numpy(logits, ranges, odds, sampling, u)
    return _native.draw(
        logits,
        ranges,
        *odds,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.min_p,
        u,
    )


def draw_numpy(
    logits: NDArray[np.float32], ranges: Ranges, odds: Odds, sampling: Sampling, u: float
) -> int:
    """What `draw` means."""
    now = np.arange(ranges.now, ranges.now_stop)
    if odds.kept is not None:
        now = now[odds.kept[now - odds.first]]
    later = np.arange(ranges.later, ranges.later_stop)
    ids = np.concatenate([now, later, [ranges.end] if ranges.may_end else []]).astype(np.intp)
    if not len(ids):
        return -1
    scores = _scores(logits[ids])
    if odds.recent is not None and len(now):
        chord = scores[: len(now)]
        before = _log_sum(chord)
        chord -= odds.log_penalty * odds.recent[now - odds.first]
        chord += before - _log_sum(chord)
    if odds.density != 1:
        _thin(scores, len(now), len(later), float(_scores(logits[ranges.end])), odds.density)
    order = np.lexsort((ids, -scores))  # of equal scores, the lower id first
    ids, scores = ids[order], scores[order]
    if sampling.temperature <= 0:
        return int(ids[0])
    weights = np.exp((scores - scores[0]) / sampling.temperature)
    keep = len(ids) if sampling.top_k <= 0 else min(sampling.top_k, len(ids))
    if sampling.min_p > 0:
        keep = min(keep, max(1, int((weights >= sampling.min_p).sum())))
    cumulative = np.cumsum(weights)
    if sampling.top_p < 1:
        keep = min(keep, int(np.searchsorted(cumulative, sampling.top_p * cumulative[-1])) + 1)
    return int(
        ids[min(int(np.searchsorted(cumulative[:keep], u * cumulative[keep - 1])), keep - 1)]
    )


def _scores(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    return np.where(wide > _NOTHING, np.minimum(wide, _MOST), _NOTHING)


def _thin(scores: NDArray[np.float64], now: int, later: int, end: float, density: float) -> None:
    """Multiply the odds of stopping by the density, at this place and then at each later one.

    With m_i the probability that the next onset is the i-th possible one (0: at this place, all
    ids together) and T_i that it comes later or not in this bar, the odds m_i : T_i become
    d m_i : T_i. The end keeps the probability that no place took. scores: of `now` ids, `later`
    positions, and the end where it may come; `end`: the end's, also where it may not.
    """
    here = _log_sum(scores[:now]) if now else _NOTHING
    groups = np.array([here, *scores[now : now + later], end])
    groups -= groups.max()
    masses = np.exp(groups)
    beyond = np.cumsum(masses[:0:-1])[::-1] + _LEAST
    sums = np.log(density * masses[:-1] + beyond)
    reached = np.cumsum(np.log(beyond) - sums)  # log of the odds that no place up to i took
    groups[:-1] += np.log(density) - sums
    groups[1:-1] += reached[:-1]
    scores[:now] += groups[0] - here
    scores[now : now + later] = groups[1:-1]
    scores[now + later :] = reached[-1]


def _log_sum(scores: NDArray[np.float64]) -> float:
    """log of the sum of exp, added up in order."""
    top = scores.max()
    return float(top + np.log(np.cumsum(np.exp(scores - top))[-1]))
