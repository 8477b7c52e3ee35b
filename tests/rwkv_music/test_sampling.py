"""One suite for both forms of `draw`, and their agreement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music import sampling as module
from rwkv_music.engine import native
from rwkv_music.sampling import UNCHANGED, Odds, Sampling, draw, draw_numpy
from rwkv_music.tokenizer.grammar import Ranges

NEEDS_NATIVE = pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")
LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.1, 1e-9], np.float32))
ALL = Ranges(0, 5, 0, 0, 4, False)
FREE = Sampling(temperature=1, top_p=1)


@pytest.fixture(params=["numpy", pytest.param("native", marks=NEEDS_NATIVE)])
def one(request):
    return draw_numpy if request.param == "numpy" else draw


def shares(one, sampling, ranges=ALL, odds=UNCHANGED, logits=LOGITS, count=4000):
    ids = [one(logits, ranges, odds, sampling, (i + 0.5) / count) for i in range(count)]
    return np.bincount(ids, minlength=len(logits)) / count


def test_the_shares_are_the_probabilities(one):
    np.testing.assert_allclose(shares(one, FREE), [0.5, 0.25, 0.15, 0.1, 0], atol=1e-3)


def test_temperature_sharpens_and_flattens(one):
    cold, warm = (shares(one, Sampling(temperature=t, top_p=1))[0] for t in (0.5, 2))
    assert cold == pytest.approx(0.25 / (0.25 + 0.0625 + 0.0225 + 0.01), abs=1e-3)
    assert warm < 0.45
    assert shares(one, Sampling(temperature=0), count=50)[0] == 1


def test_the_tails_are_cut(one):
    def kept(**settings):
        return (shares(one, Sampling(**settings)) > 0).tolist()

    assert kept(top_k=2, temperature=1) == [True, True, False, False, False]
    assert kept(top_p=0.7, temperature=1) == [True, True, False, False, False]
    assert kept(top_p=0.05) == [True, False, False, False, False]
    assert kept(min_p=0.25, top_p=1, temperature=1) == [True, True, True, False, False]


def test_of_equal_ids_the_lower_comes_first(one):
    logits = np.zeros(9, np.float32)
    ranges = Ranges(6, 8, 3, 5, 1, True)
    assert one(logits, ranges, UNCHANGED, Sampling(temperature=0), 0.9) == 1
    ids = [one(logits, ranges, UNCHANGED, FREE, u) for u in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert ids == [1, 3, 4, 6, 7]
    assert one(logits, ranges, UNCHANGED, Sampling(top_k=2, temperature=1), 0.9) == 3


def test_what_is_no_number_is_never_likely(one):
    logits = LOGITS.copy()
    logits[[0, 3]] = np.nan
    got = shares(one, FREE, logits=logits)
    np.testing.assert_allclose(got, [0, 0.25 / 0.4, 0.15 / 0.4, 0, 0], atol=1e-3)
    assert one(logits, ALL, UNCHANGED, Sampling(temperature=0), 0.5) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("odds", [UNCHANGED, Odds(density=0.5), Odds(None, np.ones(5), 0, 0.5)])
def test_where_no_numbers_are_left_something_that_may_come_is_drawn(one, bad, odds):
    logits = np.full(5, bad, np.float32)
    assert one(logits, Ranges(1, 3, 3, 4, 4, True), odds, FREE, 0.5) in range(1, 5)


def test_no_id_is_minus_one(one):
    none = np.zeros(5, np.bool_)
    assert one(LOGITS, Ranges(2, 2, 3, 3, 4, False), UNCHANGED, FREE, 0.5) == -1
    assert one(LOGITS, ALL, Odds(kept=none), FREE, 0.5) == -1
    assert one(LOGITS, ALL._replace(may_end=True), Odds(kept=none), FREE, 0.5) == 4


def test_what_is_kept_counts_from_the_first(one):
    kept = np.array([False, True, False])
    assert one(LOGITS, Ranges(2, 4, 0, 0, 4, False), Odds(kept=kept, first=1), FREE, 0.99) == 2


def test_a_penalty_stays_among_the_ids_of_this_place(one):
    recent = np.array([0.0, 2.0])
    odds = Odds(recent=recent, log_penalty=np.log(2))
    got = shares(one, FREE, Ranges(0, 2, 2, 4, 4, False), odds)
    # 0.5 and 0.25 / 4, together as likely as before
    np.testing.assert_allclose(got, [0.75 * 8 / 9, 0.75 / 9, 0.15, 0.1, 0], atol=1e-3)


def test_density_multiplies_the_odds_of_each_place(one):
    logits = np.log(np.array([0.1, 0.1, 0.3, 0.2, 0.3], np.float32))
    got = shares(one, FREE, Ranges(0, 2, 2, 4, 4, True), Odds(density=0.5), logits)
    here = 0.5 * 0.2 / (0.5 * 0.2 + 0.8)
    third = (1 - here) * 0.15 / (0.15 + 0.5)
    fourth = (1 - here - third) * 0.1 / (0.1 + 0.3)
    expected = [here / 2, here / 2, third, fourth, 1 - here - third - fourth]
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_without_the_native_module_numpy_draws(monkeypatch):
    monkeypatch.setattr(module, "_native", None)
    assert draw(LOGITS, ALL, UNCHANGED, FREE, 0.6) == 1


@st.composite
def draws(draw_from):
    """Anything that may be asked, also with nothing left, ties and extremes."""
    size = 60
    edges = sorted(draw_from(st.lists(st.integers(1, size), min_size=4, max_size=4)))
    seed = draw_from(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal(size) * draw_from(st.sampled_from([0.0, 1.0, 30.0]))
    if draw_from(st.booleans()):
        logits = np.round(logits)  # many ties
    count = edges[1] - edges[0]
    odds = Odds(
        kept=draw_from(st.sampled_from([None, rng.random(count) < 0.3])),
        recent=draw_from(st.sampled_from([None, 3 * rng.random(count)])),
        first=edges[0],
        log_penalty=draw_from(st.sampled_from([0.1, 0.7])),
        density=draw_from(st.sampled_from([1e-3, 0.5, 1.0, 3.0])),
    )
    sampling = Sampling(
        draw_from(st.sampled_from([0.0, 1e-3, 0.9, 2.0])),
        draw_from(st.sampled_from([0.0, 0.05, 0.9, 1.0])),
        draw_from(st.integers(0, 6)),
        draw_from(st.sampled_from([0.0, 0.02, 1.0])),
    )
    u = draw_from(st.sampled_from([0.0, 0.999999, float(rng.random())]))
    ranges = Ranges(*edges, 0, draw_from(st.booleans()))
    return logits.astype(np.float32), ranges, odds, sampling, u


@NEEDS_NATIVE
@given(draws(), st.lists(st.integers(0, 59)))
def test_both_forms_draw_the_same_where_not_all_are_numbers(case, bad):
    case[0][bad] = np.nan
    assert draw(*case) == draw_numpy(*case)


@NEEDS_NATIVE
@given(draws())
def test_both_forms_draw_the_same_id(case):
    assert draw(*case) == draw_numpy(*case)


@NEEDS_NATIVE
def test_both_forms_draw_the_same_ids_many_times():
    rng = np.random.default_rng(1)
    recent = np.zeros(88)
    for _ in range(5000):
        logits = (3 * rng.standard_normal(432)).astype(np.float32)
        recent *= 0.85
        recent[rng.integers(88)] += 1
        odds = Odds(rng.random(88) < 0.6, recent, 4, 0.2, float(rng.uniform(0.1, 3)))
        ranges = Ranges(4 + int(rng.integers(88)), 92, 220 + int(rng.integers(48)), 268, 3, True)
        sampling = Sampling(1.0, float(rng.uniform(0.5, 1)), 60, 0.01)
        u = rng.random()
        case = (logits, ranges, odds, sampling, u)
        assert draw(*case) == draw_numpy(*case)


@given(draws())
def test_only_what_may_come_is_drawn(case):
    _, ranges, odds, _, _ = case
    got = draw_numpy(*case)
    now = got in range(ranges.now, ranges.now_stop) and (
        odds.kept is None or odds.kept[got - odds.first]
    )
    end = ranges.may_end and got == ranges.end
    assert now or end or got in range(ranges.later, ranges.later_stop) or got == -1


@NEEDS_NATIVE
@pytest.mark.parametrize(
    ("ranges", "odds"),
    [
        (Ranges(-1, 3, 0, 0, 0, False), UNCHANGED),
        (Ranges(0, 6, 0, 0, 0, False), UNCHANGED),
        (Ranges(0, 0, 2, 6, 0, False), UNCHANGED),
        (Ranges(0, 0, -2, 3, 0, False), UNCHANGED),
        (Ranges(0, 3, 0, 0, 5, True), UNCHANGED),
        (Ranges(0, 3, 0, 0, -1, False), UNCHANGED),
        (Ranges(0, 3, 0, 0, 4, False), Odds(kept=np.ones(2, np.bool_))),
        (Ranges(0, 3, 0, 0, 4, False), Odds(kept=np.ones(3, np.bool_), first=1)),
        (Ranges(0, 3, 0, 0, 4, False), Odds(recent=np.ones(2))),
    ],
)
def test_ids_outside_the_logits_are_refused(ranges, odds):
    with pytest.raises(IndexError):
        draw(LOGITS, ranges, odds, FREE, 0.5)
