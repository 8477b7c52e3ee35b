"""What a trigger waits for: the milliseconds to the first note, and what choosing tokens adds."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.protocol import BarRequest, propose
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.weights import Weights
from rwkv_music.music import METERS, Note
from rwkv_music.sampling import Sampling
from rwkv_music.tokenizer import load_vocabulary

from .figures import percentile

EVERYTHING = Sampling(
    temperature=1.0,
    top_k=60,
    min_p=0.01,
    repetition_penalty=1.1,
    key="C",
    density=0.9,
    polyphony=6,
    velocity_scale=1.1,
)
TAKES = 4


class StopWatch:
    """An engine whose steps are timed."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.config = engine.config
        self.seconds = 0.0
        self.tokens = 0
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def step(self, state: Any, token: int) -> Any:
        return self._timed(1, self._engine.step, state, token)

    def step_batch(self, states: Any, tokens: Any) -> Any:
        return self._timed(len(tokens), self._engine.step_batch, states, tokens)

    def _timed(self, tokens: int, call: Any, *arguments: Any) -> Any:
        start = perf_counter()
        logits = call(*arguments)
        self.seconds += perf_counter() - start
        self.tokens += tokens
        self.calls += 1
        return logits


def first_notes(weights: Weights, trials: int) -> dict[str, Any]:
    """Of the fastest engine here: a bar line heard and its first note proposed, `trials` times;
    then whole bars under every constraint, to see what choosing adds to a token; then the bars of
    four takes at once, to see what they cost against one, choosing and all."""
    from rwkv_music.engine import native

    engine = NumpyEngine(weights) if native.absence() else native.NativeEngine(weights)
    watch = StopWatch(engine)
    model = RwkvMusicModel(watch, load_vocabulary())
    meter = next(meter for meter in METERS if str(meter) == "4/4")
    played = tuple(Note(onset, 60 + onset, 80, 4) for onset in range(0, meter.steps, 6))
    request = BarRequest(meter, needs_note=True, sampling=EVERYTHING)
    rng = np.random.default_rng(0)
    heard = model.start()
    waits, added, tokens_us = [], [], []
    alone, together = [], []
    for _ in range(trials):
        model.open_bar(heard, meter, 120.0)
        model.hear_notes(heard, played)
        state = model.fork(heard)
        start = perf_counter()
        model.open_bar(state, meter, 120.0)
        notes = propose(model, state, request, rng)
        next(notes)
        waits.append((perf_counter() - start) * 1e3)
        watch.seconds, watch.tokens, start = 0.0, 0, perf_counter()
        for _ in notes:
            pass
        taken = perf_counter() - start
        if watch.tokens:
            added.append((taken - watch.seconds) / watch.seconds)
            tokens_us.append(1e6 * (taken - watch.seconds) / watch.tokens)
        alone += _advances(model, heard, request, rng, 1)
        together += _advances(model, heard, request, rng, TAKES)
    return {
        "engine": engine.name,
        "first_note_ms_p50": percentile(waits, 50),
        "first_note_ms_p99": percentile(waits, 99),
        "choosing_adds": median(added),
        "choosing_us_a_token": median(tokens_us),
        "advance_ms_1_take": 1e3 * median(alone),
        "advance_ms_4_takes": 1e3 * median(together),
    }


def _advances(
    model: RwkvMusicModel, heard: Any, request: BarRequest, rng: np.random.Generator, takes: int
) -> list[float]:
    """Seconds of each of the steps that so many takes make together while all of them go on."""
    proposals = []
    for _ in range(takes):
        state = model.fork(heard)
        model.open_bar(state, request.meter, 120.0)
        proposals.append(model.begin(state, request, rng))
    seconds = []
    while True:
        start = perf_counter()
        model.advance(proposals)
        taken = perf_counter() - start
        if any(proposal.over for proposal in proposals):
            return seconds
        seconds.append(taken)
