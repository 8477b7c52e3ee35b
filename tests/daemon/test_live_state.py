"""The invariant, through the whole pipeline: live state = state of a fresh session.

RWKV_MUSIC_PERFORMANCES says how many random performances each test tries (`make abuse`: 1,000).
"""

from __future__ import annotations

import os
from random import Random

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
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(2, 64, len(VOCABULARY), 8, 8, 8, 8)
RWKV = RwkvMusicModel(NumpyEngine(random_weights(TINY, seed=5)), VOCABULARY)
seeds = st.integers(0, 2**32)


def tries(usual: int) -> int:
    return int(os.environ.get("RWKV_MUSIC_PERFORMANCES", usual))


def rehearse(model: object, random: Random, **generation: object) -> Rehearsal:
    meter = random.choice([Meter(4, 4), Meter(3, 4), Meter(6, 8)])
    transport = Transport(random.uniform(50, 220), meter, "internal")
    transport.play(0)
    wishes = Generation(**{"bars": 1, **generation})  # type: ignore[arg-type]
    rehearsal = Rehearsal(model, wishes, transport)  # type: ignore[arg-type]
    perform(rehearsal, random, random.randint(5, 60))
    return rehearsal


@given(
    seeds,
    st.fixed_dictionaries(
        {
            "grid": st.sampled_from(["full", "sixteenths", "triplets"]),
            "quantize": st.sampled_from(["bar", "beat", "now"]),
            "overlap": st.sampled_from(["merge", "ignore", "interrupt"]),
            "let_ring": st.integers(0, 1),
            "nudge_ms": st.sampled_from([0, -60, 30, -500]),
            "horizon_beats": st.sampled_from([0.25, 1, 8]),
            "bars": st.integers(1, 4),
        }
    ),
)
@settings(max_examples=tries(30), deadline=None)
@pytest.mark.parametrize("family", [ScriptedModel, Sparse])
def test_to_the_token(family: type[ScriptedModel], seed: int, wishes: dict[str, object]) -> None:
    """The scripted model's state is a digest of every token: nothing may differ."""
    rehearsal = rehearse(family(), Random(seed), **wishes)
    assert rehearsal.output.sounding == 0
    assert [event for event in rehearsal.events if event[1] == "/rwkv/error"] == []
    assert rehearsal.worker.session.fork() == fresh_state(rehearsal, ScriptedModel())


@given(seeds)
@settings(max_examples=tries(12), deadline=None)
def test_to_the_number(seed: int) -> None:
    """RWKV on NumPy: equal to 1e-5, whatever was replayed in blocks of whatever size."""
    rehearsal = rehearse(RWKV, Random(seed))
    live = rehearsal.worker.session.fork()
    fresh = fresh_state(rehearsal, RWKV)
    scale = max(1.0, float(np.abs(fresh.engine).max()))
    np.testing.assert_allclose(live.engine / scale, fresh.engine / scale, atol=1e-5)
    np.testing.assert_allclose(live.logits, fresh.logits, atol=1e-5 * scale)


@given(seeds)
@settings(max_examples=tries(30), deadline=None)
def test_to_the_bit(seed: int) -> None:
    """RWKV on the native engine: not a bit may differ."""
    if native.absence():
        pytest.skip(native.absence())
    model = RwkvMusicModel(native.NativeEngine(random_weights(TINY, seed=5)), VOCABULARY)
    rehearsal = rehearse(model, Random(seed))
    live, fresh = rehearsal.worker.session.fork(), fresh_state(rehearsal, model)
    expected = model.tensors_of(fresh)
    assert all(np.array_equal(t, expected[name]) for name, t in model.tensors_of(live).items())
