"""What counts in a window, how windows are cut, and that augmented bars are still bars."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.augment import play_imprecisely, shift_levels
from rwkv_music_train.config import WindowOptions
from rwkv_music_train.windows import (
    RandomWindows,
    Window,
    cut_window,
    sampled_kinds,
    target_places,
    validation_windows,
)
from training_samples import piece

from rwkv_music.tokenizer import decode_phrase, encode_phrase, load_vocabulary

V = load_vocabulary()
SAMPLED = sampled_kinds(V)


def kinds(window):
    return [V.tokens[t].split("_")[0] for t in window.tokens[target_places(window, SAMPLED)]]


def test_only_sampled_tokens_of_the_completion_count():
    p = piece(0)
    window = cut_window(p, 2, 3, 2, 4096, V.bos)
    assert window.tokens[0] == V.bos
    np.testing.assert_array_equal(window.tokens[1:], p.tokens[p.bars[2] : p.bars[7]])
    assert window.first_target == 1 + p.bars[5] - p.bars[2]
    places = target_places(window, SAMPLED)
    assert places.min() == window.first_target  # the decision that the context's last bar is over
    assert kinds(window).count("Bar") == 2
    assert set(kinds(window)) == {"Bar", "Position", "Pitch", "Velocity", "Duration"}


def test_the_first_bar_line_is_forced_and_does_not_count():
    window = cut_window(piece(0), 0, 0, 2, 4096, V.bos)
    assert kinds(window).count("Bar") == 1


def test_what_does_not_fit_is_cut_from_the_front_of_the_context():
    p = piece(1)
    room = int(p.bars[8] - p.bars[4])
    window = cut_window(p, 0, 6, 2, room, V.bos)
    np.testing.assert_array_equal(window.tokens[1:], p.tokens[p.bars[4] : p.bars[8]])
    assert window.first_target == 1 + p.bars[6] - p.bars[4]
    cut = cut_window(p, 0, 6, 2, 20, V.bos)
    assert len(cut.tokens) == 21
    assert cut.first_target == 1


def test_a_window_depends_on_its_number_alone():
    pieces = [piece(s, bars=40) for s in range(3)]
    one = RandomWindows(pieces, V, WindowOptions(length=256), {}, seed=5)
    other = RandomWindows(pieces, V, WindowOptions(length=256), {}, seed=5)
    backwards = [other.window(n) for n in reversed(range(20))]
    for n, window in enumerate(reversed(backwards)):
        np.testing.assert_array_equal(one.window(n).tokens, window.tokens)
        assert one.window(n).first_target == window.first_target


def test_every_random_window_is_bos_and_music_and_has_targets():
    pieces = [piece(s, bars=30, meter=m) for s, m in enumerate(("4/4", "6/8", "3/4"))]
    options = WindowOptions(length=300, imprecise_share=1.0, shaky_share=1.0)
    source = RandomWindows(pieces, V, options, {}, seed=0)
    for n in range(100):
        window = source.window(n)
        assert len(window.tokens) <= 301
        assert window.tokens[0] == V.bos
        last = int(np.flatnonzero(window.tokens == V.bar)[-1])
        tokens = window.tokens[1:last].tolist()
        assert encode_phrase(decode_phrase(tokens)) == tokens
        assert len(target_places(window, SAMPLED)) > 0


def test_a_set_without_weight_is_never_drawn():
    low, high = piece(0, meter="4/4"), piece(1, meter="3/4")
    low = type(low)(low.path, "unwanted", low.tokens, low.bars)
    source = RandomWindows([low, high], V, WindowOptions(), {"unwanted": 0.0}, seed=0)
    four = V.meter_id(decode_phrase(low.tokens.tolist())[0].meter)
    assert all(four not in source.window(n).tokens for n in range(30))


def test_validation_covers_each_later_bar_once():
    p = piece(3, bars=50)
    windows = validation_windows([p], V, 400, 4, 0)
    covered = sum(len(w.tokens) - w.first_target for w in windows)
    assert covered == len(p.tokens) - p.bars[4]
    assert len(validation_windows([p], V, 400, 4, 3)) == 3


def test_a_shift_keeps_intervals_and_stays_on_the_keyboard():
    p = piece(4)
    tokens = p.tokens.astype(np.int64)
    rng = np.random.default_rng(0)
    for _ in range(20):
        shifted = shift_levels(tokens, V, WindowOptions(transpose=40), rng)
        before, after = decode_phrase(tokens.tolist()), decode_phrase(shifted.tolist())
        moved = {
            b.pitch - a.pitch
            for x, y in zip(before, after, strict=True)
            for a, b in zip(x.notes, y.notes, strict=True)
        }
        assert len(moved) == 1
        assert encode_phrase(after) == shifted.tolist()


def test_precise_playing_changes_nothing_and_imprecise_playing_stays_canonical():
    p = piece(5)
    tokens = p.tokens.astype(np.int64)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(play_imprecisely(tokens, V, 0.0, rng), tokens)
    for _ in range(20):
        played = play_imprecisely(tokens, V, 0.7, rng)
        bars = decode_phrase(played.tolist())
        assert encode_phrase(bars) == played.tolist()
        assert len(bars) == 12


def test_bars_without_notes_survive_imprecision():
    p = piece(6)
    header = p.tokens[:3].astype(np.int64)
    tokens = np.concatenate([header, header, p.tokens.astype(np.int64), header])
    played = play_imprecisely(tokens, V, 0.5, np.random.default_rng(1))
    assert len(decode_phrase(played.tolist())) == 15
    np.testing.assert_array_equal(
        play_imprecisely(np.concatenate([header, header]), V, 1.0, np.random.default_rng(1)),
        np.concatenate([header, header]),
    )


def test_an_empty_completion_has_no_targets():
    window = Window(np.array([V.bos]), 1)
    assert len(target_places(window, SAMPLED)) == 0
