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


class StopWatch:
    """An engine whose steps are timed."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.config = engine.config
        self.seconds = 0.0
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def step(self, state: Any, token: int) -> Any:
        start = perf_counter()
        logits = self._engine.step(state, token)
        self.seconds += perf_counter() - start
        self.steps += 1
        return logits


def first_notes(weights: Weights, trials: int) -> dict[str, Any]:
    """Of the fastest engine here: a bar line heard and its first note proposed, `trials` times;
    then whole bars under every constraint, to see what choosing adds to a token."""
    from rwkv_music.engine import native

    engine = NumpyEngine(weights) if native.absence() else native.NativeEngine(weights)
    watch = StopWatch(engine)
    model = RwkvMusicModel(watch, load_vocabulary())
    meter = next(meter for meter in METERS if str(meter) == "4/4")
    played = tuple(Note(onset, 60 + onset, 80, 4) for onset in range(0, meter.steps, 6))
    request = BarRequest(meter, needs_note=True, sampling=EVERYTHING)
    rng = np.random.default_rng(0)
    heard = model.start()
    waits, added = [], []
    for _ in range(trials):
        model.open_bar(heard, meter, 120.0)
        model.hear_notes(heard, played)
        state = model.fork(heard)
        start = perf_counter()
        model.open_bar(state, meter, 120.0)
        notes = propose(model, state, request, rng)
        next(notes)
        waits.append((perf_counter() - start) * 1e3)
        watch.seconds, watch.steps, start = 0.0, 0, perf_counter()
        for _ in notes:
            pass
        if watch.steps:
            added.append((perf_counter() - start - watch.seconds) / watch.seconds)
    return {
        "engine": engine.name,
        "first_note_ms_p50": percentile(waits, 50),
        "first_note_ms_p99": percentile(waits, 99),
        "choosing_adds": median(added),
    }
