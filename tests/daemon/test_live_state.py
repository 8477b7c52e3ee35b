"""The invariant, through the whole pipeline: live state = state of a fresh session.

RWKV_MUSIC_PERFORMANCES says how many random performances each test tries (`make abuse`: 1,000).
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from performances import Sparse, fresh_state, perform
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport

from rwkv_music.engine import native
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.protocol import MusicModel
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel, RwkvState
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(2, 64, len(VOCABULARY), 8, 8, 8, 8)
RWKV = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=5)), VOCABULARY)
seeds = st.integers(0, 2**32)
wishes = st.fixed_dictionaries(
    {
        "grid": st.sampled_from(["full", "sixteenths", "triplets"]),
        "quantize": st.sampled_from(["bar", "beat", "now"]),
        "overlap": st.sampled_from(["merge", "ignore", "interrupt"]),
        "let_ring": st.integers(0, 1),
        "nudge_ms": st.sampled_from([0, -60, 30, -500]),
        "horizon_beats": st.sampled_from([0.25, 1, 8]),
        "bars": st.integers(1, 4),
    }
)


def tries(usual: int) -> int:
    return int(os.environ.get("RWKV_MUSIC_PERFORMANCES", usual))


def rehearse(
    model: MusicModel[Any],
    random: Random,
    same: Callable[[Any, Any], bool],
    **generation: Any,
) -> Rehearsal:
    """A performance, in which the live state is the `same` as a fresh one, now and then and at the
    end."""
    meter = random.choice([Meter(4, 4), Meter(3, 4), Meter(6, 8)])
    transport = Transport(random.uniform(50, 220), meter, "internal")
    transport.play(0)
    rehearsal = Rehearsal(model, Generation(**generation), transport)

    def look() -> None:
        rehearsal.step()
        for message in rehearsal.conductor.assembler.updates():  # as before every request
            rehearsal.worker.handle([message])
        assert same(rehearsal.worker.session.fork(), fresh_state(rehearsal, model))

    perform(rehearsal, random, random.randint(5, 60), look)
    look()
    return rehearsal


@given(seeds, wishes)
@settings(max_examples=tries(30), deadline=None)
@pytest.mark.parametrize("family", [ScriptedModel, Sparse])
def test_to_the_token(family: type[ScriptedModel], seed: int, wishes: dict[str, Any]) -> None:
    """The scripted model's state is a digest of every token: nothing may differ."""
    rehearsal = rehearse(family(), Random(seed), operator.eq, **wishes)
    assert rehearsal.output.sounding == 0
    assert [event for event in rehearsal.events if event[1] == "/rwkv/error"] == []


@given(seeds, wishes)
@settings(max_examples=tries(12), deadline=None)
def test_to_the_number(seed: int, wishes: dict[str, Any]) -> None:
    """RWKV on NumPy: equal to 1e-5, whatever was replayed in blocks of whatever size."""
    rehearse(RWKV, Random(seed), nearly, **wishes)


def nearly(live: RwkvState, fresh: RwkvState) -> bool:
    scale = max(1.0, float(np.abs(fresh.engine).max()))
    return np.allclose(
        live.engine / scale, fresh.engine / scale, rtol=0, atol=1e-5
    ) and np.allclose(live.logits, fresh.logits, rtol=0, atol=1e-5 * scale)


@given(seeds, wishes)
@settings(max_examples=tries(30), deadline=None)
def test_to_the_bit(seed: int, wishes: dict[str, Any]) -> None:
    """RWKV on the native engine: not a bit may differ."""
    if native.absence():
        pytest.skip(native.absence())
    model = RwkvMusicModel(native.NativeEngine(random_weights(TINY, seed=5)), VOCABULARY)
    rehearse(model, Random(seed), exactly, **wishes)


def exactly(live: RwkvState, fresh: RwkvState) -> bool:
    return np.array_equal(live.engine, fresh.engine) and np.array_equal(live.logits, fresh.logits)
