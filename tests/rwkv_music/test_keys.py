import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music.errors import ConfigError
from rwkv_music.keys import (
    SCALES,
    TONICS,
    estimate_tonic,
    heard_tonic,
    key_classes,
    name_of,
    pitch_class_weights,
    scale_classes,
    tonic_of,
)
from rwkv_music.music import Note


def weights_of(*pitches):
    return pitch_class_weights(Note(0, pitch, 79, 12) for pitch in pitches)


def test_scales():
    assert scale_classes(0, "major") == {0, 2, 4, 5, 7, 9, 11}
    assert scale_classes(9, "minor") == scale_classes(0, "major")
    assert scale_classes(2, "dorian") == scale_classes(0, "major")
    assert scale_classes(4, "phrygian") == scale_classes(0, "major")
    assert scale_classes(5, "lydian") == scale_classes(0, "major")
    assert scale_classes(7, "mixolydian") == scale_classes(0, "major")
    assert scale_classes(11, "locrian") == scale_classes(0, "major")
    assert scale_classes(9, "minor_pentatonic") == scale_classes(0, "major_pentatonic")
    assert scale_classes(3, "chromatic") == set(range(12))
    with pytest.raises(ConfigError, match="expected one of major"):
        scale_classes(0, "maijor")


def test_the_key_that_holds_most_of_what_sounds():
    def classes(*pitches):
        return key_classes(Note(0, pitch, 79, 12) for pitch in pitches)

    assert classes(60, 62, 64, 65, 67, 69, 71) == scale_classes(0, "major")
    assert classes(57, 59, 60, 62, 64, 65, 68, 57, 64) == scale_classes(9, "harmonic_minor")
    assert classes() == frozenset(range(12))


def test_names_of_keys():
    assert [tonic_of(key) for key in ("C", "C#", "Db", "B", "Bb")] == [0, 1, 1, 11, 10]
    with pytest.raises(ConfigError, match="expected none, auto"):
        tonic_of("H")


def test_the_daemon_offers_these_keys_and_scales():
    parameters = pytest.importorskip("rwkv_music_daemon.parameters")
    assert set(parameters.PARAMETERS["key"].choices) == {"none", "auto", *TONICS}
    assert set(parameters.PARAMETERS["scale"].choices) == set(SCALES)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(
    ("scale", "degrees"),
    [
        ("major", (0, 2, 4, 5, 7, 9, 11, 0, 4, 7, 0)),
        ("minor", (0, 2, 3, 5, 7, 8, 10, 0, 3, 7, 0)),
        ("harmonic_minor", (0, 2, 3, 5, 7, 8, 11, 0, 3, 7, 0)),
        ("dorian", (0, 2, 3, 5, 7, 9, 10, 0, 3, 7, 0)),
        ("major_pentatonic", (0, 2, 4, 7, 9, 0, 7)),
    ],
)
def test_a_scale_with_its_triad_tells_its_tonic(scale, degrees, tonic):
    weights = weights_of(*(60 + tonic + degree for degree in degrees))
    assert estimate_tonic(weights, scale) == tonic


def test_long_notes_count_more():
    short = [Note(0, 60 + degree, 79, 1) for degree in (0, 2, 4, 5, 7, 9, 11)]
    long = [Note(0, 60 + degree, 79, 48) for degree in (7, 11, 2)]
    assert estimate_tonic(pitch_class_weights([*short, *long])) == 7


def test_silence_and_noise_have_no_key():
    assert estimate_tonic([0.0] * 12) is None
    assert estimate_tonic([3.0] * 12) is None
    assert estimate_tonic([float("nan")] * 12) is None


@given(
    st.lists(st.integers(0, 1000), min_size=12, max_size=12),
    st.integers(0, 11),
    st.sampled_from(sorted(SCALES)),
)
def test_a_transposed_piece_has_the_transposed_key(weights, steps, scale):
    moved = [weights[(i - steps) % 12] for i in range(12)]
    here, there = estimate_tonic(weights, scale), estimate_tonic(moved, scale)
    if len(set(weights)) == 12 and scale not in ("chromatic", "whole_tone"):
        assert here is not None
        assert there == (here + steps) % 12
    assert (here is None) == (there is None)


@pytest.mark.parametrize(
    ("pitches", "tonic"), [((), None), ((62,), None), ((62, 69, 74), None), ((62, 66, 69), 2)]
)
def test_auto_knows_no_key_before_three_different_notes(pitches, tonic):
    assert heard_tonic(weights_of(*pitches)) == tonic
    assert heard_tonic(None) is None


def test_every_tonic_has_a_name_that_is_a_key():
    assert [TONICS[name_of(tonic)] for tonic in range(12)] == list(range(12))
    assert name_of(None) == "none"
