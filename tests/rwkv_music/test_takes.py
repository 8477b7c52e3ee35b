"""Takes made as one batch, at whatever pace: each is what it would be alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rwkv_music.continuation import CompletionNote, CompletionRequest, Continuation, Place
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.music import Meter
from rwkv_music.takes import Takes
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
MODEL = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=3)), VOCABULARY)
METER = Meter(3, 4)
REQUEST = CompletionRequest(2, METER, 120.0)
SEEDS = (1, 2, 3, 4)
END: Place = (REQUEST.bars, 0)
places = st.tuples(st.integers(0, REQUEST.bars - 1), st.integers(0, METER.steps - 1))


def alone(seed: int) -> list[CompletionNote]:
    continuation: Continuation[Any] = Continuation(MODEL, MODEL.start(), REQUEST, seed)
    return list(iter(lambda: continuation.next_note(END), None))  # type: ignore[arg-type]


ALONE = [alone(seed) for seed in SEEDS]


@given(st.lists(places, max_size=12).map(sorted))
@settings(max_examples=25, deadline=None)
def test_a_take_is_the_same_alone_and_among_others(limits: list[Place]) -> None:
    takes: Takes[Any] = Takes(MODEL, MODEL.start(), REQUEST, SEEDS)
    for until in [*limits, END]:
        while takes.advance(until):
            pass
        assert all(note.place < until for take in takes.takes for note in take.notes)
    assert all(take.finished for take in takes.takes)
    assert [take.notes for take in takes.takes] == ALONE
