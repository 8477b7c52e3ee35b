"""The memories that come with a model: one for each style of the data, fit for that model."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.personalize import TuneOptions  # noqa: E402
from rwkv_music_train.pieces import PieceWriter  # noqa: E402
from rwkv_music_train.styles import make_memories  # noqa: E402
from rwkv_music_train.weights import weights_of  # noqa: E402
from test_train_weights import model  # noqa: E402
from training_samples import piece  # noqa: E402

from rwkv_music.engine.numpy_engine import NumpyEngine  # noqa: E402
from rwkv_music.memory import load_memory  # noqa: E402
from rwkv_music.model.rwkv import RwkvMusicModel  # noqa: E402
from rwkv_music.tokenizer import load_vocabulary  # noqa: E402

V = load_vocabulary()
FEW = TuneOptions(steps=8, batch=2, length=64, rate=0.1, check_every=4)


@pytest.fixture
def data(tmp_path):
    """Five pieces of pop and two songs to learn from, one of each to be told."""
    sets = {"train": ["pop909"] * 5 + ["openscore_lieder"] * 2}
    sets["valid"] = ["pop909", "openscore_lieder"]
    for split, names in sets.items():
        with PieceWriter(tmp_path / f"{split}.arrow", V) as writer:
            for seed, name in enumerate(names):
                writer.add(replace(piece(seed + 50 * (split == "valid")), set=name))
    return tmp_path


def test_a_style_with_pieces_enough_becomes_a_memory_of_the_model(data, tmp_path):
    weights, said = weights_of(model(shaken=0.1)), []
    folder = tmp_path / "memories"
    (table,) = make_memories(weights, data, folder, FEW, said.append)
    assert [path.name for path in folder.iterdir()] == ["pop.safetensors"]
    music = RwkvMusicModel(NumpyEngine(weights), V, "model", weights.fingerprint)
    assert load_memory(folder / "pop.safetensors", music).state.engine.any()
    assert table.heads == ("memory", "pop")
    (none, without), (pop, within) = table.rows
    assert (none, pop) == ("none", "pop")
    assert float(within) < float(without)
    assert "classical: left out, there are 0 pieces" in said[1]
    assert "song: left out, there are 2 pieces" in said[2]


def test_a_style_that_helps_nobody_leaves_no_memory_behind(data, tmp_path, monkeypatch):
    import rwkv_music_train.personalize as module

    folder = tmp_path / "memories"
    folder.mkdir()
    (folder / "pop.safetensors").write_bytes(b"of the model before")
    monkeypatch.setattr(module, "loss_from", lambda model, windows, states: (states is not None, 1))
    said = []
    assert make_memories(weights_of(model(shaken=0.1)), data, folder, FEW, said.append) == []
    assert list(folder.iterdir()) == []
    assert said[0].startswith("pop: left out, what these pieces have in common")
