"""What more context is worth is told with how sure that is."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.evaluate import Floats, Targets
from rwkv_music_train.judge import context_tables
from rwkv_music_train.windows import Window
from training_samples import piece

from rwkv_music.tokenizer import load_vocabulary

V = load_vocabulary()
PIECES = [piece(seed, bars=40) for seed in range(4)]


class Listener:
    """Two nats a target; after eight bars of context and more, less by one of some shares."""

    def __init__(self, *shares: float) -> None:
        self._shares = shares

    def nats(self, windows: Sequence[Window]) -> list[Floats]:
        return [self._nats(window) for window in windows]

    def _nats(self, window: Window) -> Floats:
        count = len(Targets.of([window], V).ids)
        heard, told = np.split(window.tokens.astype(int), [window.first_target])
        share = self._shares[told.sum() % len(self._shares)]
        knows = np.count_nonzero(heard == V.bar) >= 8
        return np.full(count, 2 * (1 - share) if knows else 2.0)


def told(*shares: float) -> str:
    tables = context_tables({"the model": Listener(*shares)}, PIECES, V, count=24)
    return tables[0].about


def test_a_gain_that_all_passages_share_is_sure() -> None:
    assert told(0.25).endswith("The model: 25.0% ± 0.0% less after 16 bars than after 2.")


def test_a_gain_of_some_passages_is_less_so() -> None:
    found = re.search(r"([0-9.]+)% ± ([0-9.]+)% less", told(0.0, 0.5))
    assert found is not None
    gain, error = map(float, found.groups())
    assert 10 < gain < 40
    assert 3 < error < 8
