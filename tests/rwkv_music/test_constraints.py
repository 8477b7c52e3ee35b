"""Constraints over a model that likes everything alike, so that only they shape the music."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from rwkv_music.constraints import COSTS, Constraints
from rwkv_music.errors import ConfigError
from rwkv_music.keys import scale_classes
from rwkv_music.music import Bar, Meter, Note, cut_overlaps
from rwkv_music.sampling import UNCHANGED, Sampling, draw
from rwkv_music.tokenizer import BarGrammar, load_vocabulary
from rwkv_music.tokenizer.grammar import NEXT, OVER, PITCH, POSITION

V = load_vocabulary()
FOUR = Meter(4, 4)


def lively_logits():
    """Ids alike within a kind; a bar has about ten notes."""
    logits = np.zeros(len(V), np.float32)
    logits[V.bar] = np.log(6)
    return logits


@dataclass
class Music:
    bars: list[list[Note]]
    broken: Counter

    @property
    def notes(self):
        return [note for bar in self.bars for note in bar]

    def pitches(self):
        return {note.pitch for note in self.notes}

    def most_voices(self):
        """Most keys that are down at once, over the bar lines."""
        events = []
        phrase = cut_overlaps(Bar(FOUR, 120.0, tuple(bar)) for bar in self.bars)
        for number, bar in enumerate(phrase):
            for note in bar.notes:
                events += [(48 * number + note.onset, 1), (48 * number + note.end, 0)]
        voices, most = 0, 0
        for _, starts in sorted(events):
            voices += 1 if starts else -1
            most = max(most, voices)
        return most


def compose(sampling, bars=40, seed=0, heard=None, logits=None, **grammar):
    logits = lively_logits() if logits is None else logits
    constraints = Constraints(sampling, heard)
    rng = np.random.default_rng(seed)
    music = []
    for _ in range(bars):
        constraints.open_bar(FOUR.steps)
        bar, notes = BarGrammar(V, FOUR, **grammar), []
        while bar.stage != OVER:
            note = bar.push(constraints.choose(logits, bar, V, rng))
            if note is not None:
                constraints.sound(note)
                notes.append(note)
        music.append(notes)
    return Music(music, constraints.broken)


FREE = {"temperature": 1.0, "top_p": 1.0}


def test_without_wishes_the_model_draws_as_it_likes():
    rng, other = np.random.default_rng(3), np.random.default_rng(3)
    sampling = Sampling(top_p=1.0)
    constraints = Constraints(sampling)
    logits = rng.standard_normal(len(V)).astype(np.float32)
    other.standard_normal(len(V))
    grammar = BarGrammar(V, FOUR)
    while grammar.stage != OVER:
        token = constraints.choose(logits, grammar, V, rng)
        assert token == draw(logits, grammar.ranges(), UNCHANGED, sampling, other.random())
        note = grammar.push(token)
        if note is not None:
            constraints.sound(note)


@pytest.mark.parametrize(("key", "scale"), [("C", "major"), ("F#", "blues"), ("Bb", "dorian")])
def test_key_and_scale_are_kept(key, scale):
    tonic = {"C": 0, "F#": 6, "Bb": 10}[key]
    music = compose(Sampling(key=key, scale=scale, **FREE))
    assert {pitch % 12 for pitch in music.pitches()} == scale_classes(tonic, scale)
    assert not music.broken


def test_key_auto_follows_what_was_heard():
    d_major = [float(c in scale_classes(2, "major")) + 2 * (c in (2, 6, 9)) for c in range(12)]
    music = compose(Sampling(key="auto", **FREE), heard=d_major)
    assert {pitch % 12 for pitch in music.pitches()} == scale_classes(2, "major")
    for silence in (None, [0.0] * 12):
        assert (
            len({p % 12 for p in compose(Sampling(key="auto", **FREE), heard=silence).pitches()})
            == 12
        )


def test_unknown_keys_and_scales_are_refused():
    with pytest.raises(ConfigError):
        Constraints(Sampling(key="H"))
    with pytest.raises(ConfigError):
        Constraints(Sampling(key="C", scale="maijor"))


def test_the_range_is_kept():
    music = compose(Sampling(pitch_low=50, pitch_high=54, **FREE))
    assert music.pitches() == {50, 51, 52, 53, 54}
    assert compose(Sampling(pitch_low=54, pitch_high=50, **FREE)).pitches() == music.pitches()
    assert not music.broken


@pytest.mark.parametrize("polyphony", [1, 2, 5])
def test_voices_are_counted_over_the_bar_lines(polyphony):
    free, music = compose(Sampling(**FREE)), compose(Sampling(polyphony=polyphony, **FREE))
    assert free.most_voices() > 5
    assert music.most_voices() == polyphony
    assert not music.broken


def test_the_cheapest_constraint_is_broken_and_counted():
    assert list(COSTS) == sorted(COSTS, key=COSTS.__getitem__)
    out_of_key = compose(Sampling(key="C", pitch_low=61, pitch_high=61, **FREE))
    assert out_of_key.pitches() == {61}
    assert out_of_key.broken["key"] > 0
    assert set(out_of_key.broken) == {"key"}


def beginning(constraints, position):
    grammar = BarGrammar(V, FOUR)
    grammar.push(V.position_id(position))
    return constraints.choose(lively_logits(), grammar, V, np.random.default_rng(0))


def test_a_new_beginning_keeps_to_the_other_wishes_and_gives_way_before_them():
    offered = tuple(((0, pitch),) for pitch in (60, 62))
    narrow = {"key": "C", "pitch_low": 60, **FREE}
    new = Constraints(Sampling(pitch_high=64, **narrow), avoid=offered)
    assert beginning(new, 0) == V.pitch_id(64)
    assert not new.broken
    nothing_new = Constraints(Sampling(pitch_high=63, **narrow), avoid=offered)
    assert beginning(nothing_new, 0) in (V.pitch_id(60), V.pitch_id(62))
    assert nothing_new.broken == {"novelty": 1}
    elsewhere = Constraints(Sampling(pitch_high=63, **narrow), avoid=offered)
    assert beginning(elsewhere, 1) in (V.pitch_id(60), V.pitch_id(62))
    assert not elsewhere.broken


def test_a_bar_that_needs_a_note_breaks_the_voices():
    constraints = Constraints(Sampling(polyphony=1, key="C", **FREE))
    constraints.open_bar(FOUR.steps)
    constraints.sound(Note(0, 60, 79, 96))
    constraints.open_bar(FOUR.steps)
    grammar = BarGrammar(V, FOUR, needs_note=True)
    rng = np.random.default_rng(0)
    assert constraints.choose(lively_logits(), grammar, V, rng) in V.position
    assert constraints.broken == {"polyphony": 1}
    free = BarGrammar(V, FOUR)
    assert constraints.choose(lively_logits(), free, V, rng) == V.bar
    assert constraints.broken == {"polyphony": 1}


def test_more_density_is_more_notes():
    counts = [
        len(compose(Sampling(density=d, **FREE), bars=60).notes)
        for d in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
    ]
    assert counts == sorted(counts)
    assert counts[0] < 5
    assert counts[5] > 1.5 * counts[3] > 3 * counts[1]


class Spread:
    """A generator of numbers that lie evenly, so that shares are probabilities."""

    def __init__(self, count):
        self._numbers = iter((np.arange(count) + 0.5) / count)

    def random(self):
        return float(next(self._numbers))


def chances(constraints, logits, grammar, count=20000):
    """How likely each id is [V]."""
    rng = Spread(count)
    ids = [constraints.choose(logits, grammar, V, rng) for _ in range(count)]
    return np.bincount(ids, minlength=len(V)) / count


def some_logits(seed):
    return np.random.default_rng(seed).standard_normal(len(V)).astype(np.float32)


def probabilities(logits, grammar):
    weights = np.where(grammar.allowed(), np.exp(logits.astype(np.float64)), 0)
    return weights / weights.sum()


@pytest.mark.parametrize("density", [1.0, 1.000001])
@pytest.mark.parametrize("stage", [POSITION, NEXT])
def test_density_1_is_the_model_s_own_and_near_it_almost(stage, density):
    logits = some_logits(1)
    grammar = BarGrammar(V, FOUR, after=Note(5, 60, 79, 3) if stage == NEXT else None)
    assert grammar.stage == stage
    got = chances(Constraints(Sampling(density=density, **FREE)), logits, grammar)
    np.testing.assert_allclose(got, probabilities(logits, grammar), atol=2e-4)


@pytest.mark.parametrize("density", [0.0, 0.3, 3.0])
def test_density_multiplies_the_odds_of_each_step(density):
    logits = some_logits(2)
    grammar = BarGrammar(V, FOUR, after=Note(5, 60, 79, 3))

    def odds(p):
        places = p[V.position.start + 6 : V.position.start + 12]
        groups = np.array([p[V.pitch.start : V.pitch.stop].sum(), *places])
        return groups / (1 - np.cumsum(groups))

    got = chances(Constraints(Sampling(density=density, **FREE)), logits, grammar, 100_000)
    expected = max(density, 1e-3) * odds(probabilities(logits, grammar))
    np.testing.assert_allclose(odds(got), expected, rtol=2e-2, atol=5e-5)


def test_density_0_still_gives_the_note_that_is_needed():
    music = compose(Sampling(density=0.0, **FREE), bars=20, needs_note=True)
    assert all(music.bars)
    assert len(music.notes) < 30
    assert max(note.onset for note in music.notes) > 24 > min(note.onset for note in music.notes)


def test_what_is_unlikely_is_left_out_but_of_the_velocities():
    """A loudness of 2 % and a length of 2 % on the average of all notes, at a top_p of 0.9."""
    logits = lively_logits()
    for kind in (V.velocity, V.duration):
        logits[kind.start] = np.log(49 * (len(kind) - 1))
    notes = compose(Sampling(temperature=1.0, top_p=0.9), bars=400, logits=logits).notes
    assert len({note.duration for note in notes}) == 1
    rare = sum(note.velocity != V.velocities[0] for note in notes) / len(notes)
    assert 0.01 < rare < 0.03


def test_velocity_is_scaled_to_the_nearest_class():
    logits = lively_logits()
    logits[V.velocity_id(79)] = 50
    assert {n.velocity for n in compose(Sampling(**FREE), logits=logits).notes} == {79}
    for scale, expected in ((0.5, 39), (1.5, 119), (2.0, 127), (0.0, 3)):
        music = compose(Sampling(velocity_scale=scale, **FREE), logits=logits)
        assert {note.velocity for note in music.notes} == {expected}


def test_repeats_become_rarer():
    def repeats(penalty):
        notes = compose(
            Sampling(repetition_penalty=penalty, pitch_low=60, pitch_high=71, **FREE), bars=80
        ).notes
        return sum(a.pitch == b.pitch for a, b in pairwise(notes)) / len(notes)

    shares = [repeats(penalty) for penalty in (1.0, 1.3, 2.0)]
    assert shares[0] > 1.2 * shares[1] > 1.2 * shares[2]


def test_a_penalty_leaves_the_number_of_chord_tones():
    logits = some_logits(2)
    constraints = Constraints(Sampling(repetition_penalty=2.0, **FREE))
    for pitch in (60, 70, 70, 100):
        constraints.sound(Note(0, pitch, 79, 3))
    grammar = BarGrammar(V, FOUR, after=Note(5, 61, 79, 3))
    before, after = probabilities(logits, grammar), chances(constraints, logits, grammar)
    chord = slice(V.pitch.start, V.pitch.stop)
    assert after[chord].sum() == pytest.approx(before[chord].sum(), abs=1e-3)
    np.testing.assert_allclose(after[V.position.start :], before[V.position.start :], atol=2e-4)
    assert after[V.pitch_id(70)] < 0.5 * before[V.pitch_id(70)]
    assert after[V.pitch_id(71)] > before[V.pitch_id(71)]


@pytest.mark.parametrize("stage", [POSITION, PITCH, NEXT])
def test_one_random_number_is_used_for_each_id(stage):
    constraints = Constraints(Sampling(key="C", polyphony=1, density=2, repetition_penalty=2))
    grammar = BarGrammar(V, FOUR, after=Note(5, 60, 79, 3) if stage == NEXT else None)
    if stage == PITCH:
        grammar.push(V.position_id(4))
    assert grammar.stage == stage
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    constraints.choose(lively_logits(), grammar, V, rng)
    other.random()
    assert rng.random() == other.random()
