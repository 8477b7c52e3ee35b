"""Rows of windows, packed and not; windows in order; whole pieces from step to step."""

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.batches import collate, slice_of
from rwkv_music_train.config import DataOptions, WindowOptions
from rwkv_music_train.reading import make_reader
from rwkv_music_train.windows import SlidingWindows, cut_window, sampled_kinds, target_places
from training_samples import piece

from rwkv_music.tokenizer import decode_phrase, encode_phrase, load_vocabulary

V = load_vocabulary()
SAMPLED = sampled_kinds(V)
PLAIN = WindowOptions(
    length=256,
    context_bars=(0, 2),
    completion_bars=2,
    transpose=0,
    tempo_classes=0,
    velocity_classes=0,
    imprecise_share=0.0,
)


def reader(pieces, **options):
    batch = options.pop("batch", 2)
    return make_reader(pieces, V, DataOptions(windows=PLAIN, **options), batch, seed=3)


def test_rows_point_at_the_tokens_before_the_targets():
    windows = [cut_window(piece(s), s, s, 2, 4096, V.bos) for s in range(3)]
    batch = collate(windows, V)
    assert batch.inputs.shape[1] % 16 == 0
    flat = batch.inputs.reshape(-1)
    expected = [
        (w.tokens[place - 1], w.tokens[place])
        for w in windows
        for place in target_places(w, SAMPLED)
    ]
    assert list(zip(flat[batch.rows], batch.targets, strict=True)) == expected
    assert batch.resets is None


def test_a_slice_names_every_position_and_what_stood_before_it():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lines, steps = int(rng.integers(1, 4)), int(rng.integers(1, 20))
        rows = np.flatnonzero(rng.random(lines * steps) < 0.4)
        resets = rng.random((lines, steps)) < 0.2
        made = slice_of(rows, lines, steps, resets)
        assert (np.diff(made.near) > 0).all()
        source = [*made.near, *(-100 - np.arange(lines)), -1]  # carried inputs, then the zero
        for row, here, before in zip(made.rows, made.here, made.before, strict=True):
            assert made.near[here] == row
            if resets.reshape(-1)[row]:
                assert source[before] == -1
            elif row % steps == 0:
                assert source[before] == -100 - row // steps
            else:
                assert source[before] == row - 1
        assert (made.near[made.ends] == np.arange(1, lines + 1) * steps - 1).all()


def test_packed_rows_have_no_padding_and_forget_at_each_window():
    made = reader([piece(s, bars=6) for s in range(4)], batch=3)
    batch = made.read(5, range(3))
    assert batch.inputs.shape == (3, 256)
    assert (batch.inputs != V.pad).all()
    starts = batch.inputs == V.bos
    assert starts[:, 0].all()
    starts[:, 0] = False
    np.testing.assert_array_equal(batch.resets, starts)
    assert starts.sum() >= 3  # windows of 2 to 4 bars


def test_packed_rows_hold_whole_windows_and_their_targets():
    made = reader([piece(s, bars=6) for s in range(4)], batch=1)
    windows = made.row(7)
    batch = collate([windows], V)
    assert len(batch.targets) == sum(len(target_places(w, SAMPLED)) for w in windows)
    for window in windows[:-2]:  # the last ones may be cut
        assert encode_phrase(decode_phrase(window.tokens.tolist())) == window.tokens[1:].tolist()


@pytest.mark.parametrize("order", ["random", "sliding", "pieces"])
def test_a_batch_depends_on_its_step_alone_and_is_shared_by_rows(order):
    pieces = [piece(s, bars=9) for s in range(3)]
    whole = reader(pieces, order=order, batch=4)
    batches = [whole.read(step, range(4)) for step in range(6)]
    again = reader(pieces, order=order, batch=4)
    for step in (5, 0, 3):
        np.testing.assert_array_equal(again.read(step, range(4)).inputs, batches[step].inputs)
    halves = [
        reader(pieces, order=order, batch=4).read(2, rows) for rows in (range(2), range(2, 4))
    ]
    np.testing.assert_array_equal(
        np.concatenate([half.inputs for half in halves]), batches[2].inputs
    )
    assert sum(len(half.targets) for half in halves) == len(batches[2].targets)


def test_sliding_windows_complete_every_bar_once_an_epoch():
    pieces = [piece(s, bars=7) for s in range(3)]
    for options in (PLAIN, WindowOptions(length=200, completion_bars=None, transpose=0)):
        windows = SlidingWindows(pieces, V, options, seed=1)
        for epoch in range(2):
            made = [windows.window(epoch * len(windows) + n) for n in range(len(windows))]
            completed = sum(int((w.tokens[w.first_target :] == V.bar).sum()) for w in made)
            assert completed == 21
    first = [windows.window(n).tokens.tolist() for n in range(len(windows))]
    second = [windows.window(len(windows) + n).tokens.tolist() for n in range(len(windows))]
    assert first != second


def test_whole_pieces_are_read_to_the_end_and_begin_anew():
    pieces = [piece(s, bars=5) for s in range(3)]
    made = reader(pieces, order="pieces", batch=2)
    epoch = sum(len(p.tokens) + 1 for p in pieces)
    steps = -(-epoch // 256)
    tape = np.concatenate([made.read(step, range(1)).inputs[0] for step in range(steps)])[:epoch]
    starts = np.flatnonzero(tape == V.bos)
    read = {tuple(part[1:]) for part in np.split(tape, starts[1:])}
    assert read == {tuple(p.tokens.tolist()) for p in pieces}


def test_whole_pieces_count_what_is_sampled_and_reset_at_bos():
    made = reader([piece(s, bars=5) for s in range(3)], order="pieces", batch=2)
    assert made.carries
    for step in range(4):
        batch = made.read(step, range(2))
        begins = batch.inputs == V.bos
        resets = np.zeros_like(begins) if batch.resets is None else batch.resets
        np.testing.assert_array_equal(resets, begins)
        assert SAMPLED[batch.targets].all()
        assert not begins.reshape(-1)[batch.rows].any()  # the first bar line is forced
