import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music.sampling import Sampling, draw

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1, 1e-9], np.float32))
ALL = np.ones(5, np.bool_)
FREE = Sampling(temperature=1, top_p=1)


def shares(sampling, allowed=ALL, logits=LOGITS, count=4000):
    rng = np.random.default_rng(0)
    ids = [draw(logits, allowed, sampling, rng) for _ in range(count)]
    return np.bincount(ids, minlength=len(logits)) / count


def test_the_shares_are_the_probabilities():
    np.testing.assert_allclose(shares(FREE), [0.5, 0.25, 0.15, 0.1, 0], atol=0.025)


def test_temperature_sharpens_and_flattens():
    cold, warm = (shares(Sampling(temperature=t, top_p=1))[0] for t in (0.5, 2))
    assert cold == pytest.approx(0.25 / (0.25 + 0.0625 + 0.0225 + 0.01), abs=0.025)
    assert warm < 0.45
    assert shares(Sampling(temperature=0), count=50)[0] == 1


def test_the_tails_are_cut():
    assert (shares(Sampling(top_k=2, temperature=1)) > 0).tolist() == [True, True] + [False] * 3
    assert (shares(Sampling(top_p=0.7, temperature=1)) > 0).tolist() == [True, True] + [False] * 3
    assert (shares(Sampling(top_p=0.05)) > 0).tolist() == [True] + [False] * 4
    by_min_p = shares(Sampling(min_p=0.25, top_p=1, temperature=1))
    assert (by_min_p > 0).tolist() == [True, True, True, False, False]


@given(
    allowed=st.lists(st.booleans(), min_size=5, max_size=5).filter(any),
    temperature=st.sampled_from([0.0, 1e-3, 0.9, 2.0]),
    top_p=st.sampled_from([0.05, 0.9, 1.0]),
    top_k=st.integers(0, 6),
    min_p=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
    scale=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_only_what_is_allowed_is_drawn(allowed, temperature, top_p, top_k, min_p, seed, scale):
    sampling = Sampling(temperature, top_p, top_k, min_p)
    mask = np.array(allowed)
    assert mask[draw(LOGITS * np.float32(scale), mask, sampling, np.random.default_rng(seed))]


@given(st.lists(st.booleans(), min_size=5, max_size=5).filter(any), st.sampled_from([0.0, 1.0]))
def test_one_random_number_is_used(allowed, temperature):
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    draw(LOGITS, np.array(allowed), Sampling(temperature), rng)
    other.random()
    assert rng.random() == other.random()
