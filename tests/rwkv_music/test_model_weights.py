import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwkv_music.engine import native
from rwkv_music.engine.native import NativeEngine
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import CheckpointError
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.tensor_file import (
    TensorFile,
    decode_bfloat16,
    encode_bfloat16,
    write_tensor_file,
)
from rwkv_music.model.weights import infer_config, load_weights, save_weights, tensor_shapes
from rwkv_music.tokenizer import load_vocabulary

CONFIG = ModelConfig(layers=2, width=64, vocabulary=20, rank_w=8, rank_a=16, rank_v=4, rank_g=24)

ENGINES = [NumpyEngine] if native.absence() else [NumpyEngine, NativeEngine]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    weights = random_weights(CONFIG)
    save_weights(path, weights.tensors, CONFIG, "abc", {"loss": 1.5, "data": ["x"]})
    return path


def header_of(path):
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    return json.loads(blob[8 : 8 + length]), blob[8 + length :]


def write(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def save_raw(path, tensors, metadata=None):
    write_tensor_file(path, tensors, metadata or {}, bfloat16=False)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        ModelConfig(1, 128, 7, 8, 8, 12, 8),
        ModelConfig(3, 64, 5, 1, 2, 3, 4, enn=True),
        ModelConfig.sized(2, 64, 10),
    ],
)
def test_what_is_saved_is_loaded(tmp_path, config):
    path = tmp_path / "model.safetensors"
    weights = random_weights(config)
    save_weights(path, weights.tensors, config, "abc", {"loss": 1.5})
    loaded = load_weights(path)
    assert loaded.config == config
    assert loaded.vocabulary_hash == "abc"
    assert loaded.facts == {"loss": 1.5}
    assert list(loaded.tensors) == list(tensor_shapes(config))
    for name, tensor in weights.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor)
    assert sum(t.size for t in loaded.tensors.values()) == config.parameters
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_bfloat16_halves_the_file_and_keeps_eight_bits(tmp_path, checkpoint):
    weights = random_weights(CONFIG)
    path = tmp_path / "half.safetensors"
    save_weights(path, weights.tensors, CONFIG, "abc", {}, bfloat16=True)
    assert path.stat().st_size < 0.6 * checkpoint.stat().st_size
    for name, tensor in load_weights(path).tensors.items():
        np.testing.assert_allclose(tensor, weights.tensors[name], rtol=2**-8)


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1))
def test_bfloat16_is_the_nearest_and_ties_go_to_even(values):
    exact = np.array(values, np.float32)
    bits = encode_bfloat16(exact)
    rounded = decode_bfloat16(bits)
    for step in (-1, 1):
        neighbour = decode_bfloat16((bits.astype(np.int32) + step).astype(np.uint16))
        ours = np.abs(rounded.astype(np.float64) - exact)
        theirs = np.abs(neighbour.astype(np.float64) - exact)
        fine = ~np.isfinite(neighbour) | (ours < theirs) | ((ours == theirs) & (bits % 2 == 0))
        assert fine[bits & 0x7FFF != 0].all()


def test_the_library_reads_our_files_and_we_read_its(tmp_path, checkpoint):
    numpy_door = pytest.importorskip("safetensors.numpy")
    theirs = numpy_door.load_file(checkpoint)
    for name, tensor in load_weights(checkpoint).tensors.items():
        np.testing.assert_array_equal(theirs[name], tensor)
    path = tmp_path / "theirs.safetensors"
    halves = {name: tensor.astype(np.float16) for name, tensor in theirs.items()}
    numpy_door.save_file(halves, path)
    loaded = load_weights(path)
    assert (loaded.config, loaded.vocabulary_hash, loaded.facts) == (CONFIG, "", {})
    for name, tensor in halves.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor.astype(np.float32))


def test_unused_tensors_of_layer_0_are_tolerated(tmp_path):
    tensors = dict(random_weights(CONFIG).tensors)
    for name in ("v0", "v1", "v2"):
        tensors[f"blocks.0.att.{name}"] = tensors[f"blocks.1.att.{name}"]
    path = tmp_path / "official.safetensors"
    save_raw(path, tensors)
    assert "blocks.0.att.v0" not in load_weights(path).tensors


def test_a_failed_save_leaves_the_old_file(tmp_path, checkpoint):
    before = checkpoint.read_bytes()
    tensors = dict(random_weights(CONFIG).tensors)
    tensors["emb.weight"] = tensors["emb.weight"][:-1]
    with pytest.raises(CheckpointError, match=r"emb.weight: expected \[20, 64\], got \[19, 64\]"):
        save_weights(checkpoint, tensors, CONFIG, "abc", {})
    assert checkpoint.read_bytes() == before
    tensors = random_weights(CONFIG).tensors
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_weights(tmp_path / "missing" / "a.safetensors", tensors, CONFIG, "abc", {})


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("blocks.0.att.time_mix_k", "RWKV-4, 5 or 6"),
        ("blocks.0.att.time_maa_x", "RWKV-6"),
        ("blocks.0.att.time_faaaa", "RWKV-6"),
        ("blocks.0.ffn.s_emb.weight", "v7b"),
        ("blocks.1.rosa.emb.weight", "ROSA"),
        ("model.layers.0.self_attn.q_proj.weight", "no RWKV"),
        ("blocks.0.att.surprise", "unknown"),
    ],
)
def test_other_families_are_named(tmp_path, name, family):
    path = tmp_path / "other.safetensors"
    save_raw(path, {**random_weights(CONFIG).tensors, name: np.zeros(3, np.float32)})
    with pytest.raises(CheckpointError, match=family) as caught:
        load_weights(path)
    assert name in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_and_misshapen_tensors_are_named(tmp_path):
    tensors = dict(random_weights(CONFIG).tensors)
    del tensors["blocks.1.att.k_k"]
    save_raw(tmp_path / "a.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"blocks\.1\.att\.k_k is missing"):
        load_weights(tmp_path / "a.safetensors")
    tensors["blocks.1.att.k_k"] = np.zeros((64,), np.float32)
    save_raw(tmp_path / "b.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"expected \[1, 1, 64\], got \[64\]"):
        load_weights(tmp_path / "b.safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path, value):
    tensors = {name: t.copy() for name, t in random_weights(CONFIG).tensors.items()}
    tensors["head.weight"][3, 5] = value
    with pytest.raises(CheckpointError, match=r"head\.weight: 1 values"):
        save_weights(tmp_path / "a.safetensors", tensors, CONFIG, "abc", {})
    save_raw(tmp_path / "a.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"head\.weight: 1 values"):
        load_weights(tmp_path / "a.safetensors")


def test_any_truncation_is_refused(checkpoint):
    blob = checkpoint.read_bytes()
    for size in (0, 1, 7, 8, 9, 40, 3000, len(blob) // 2, len(blob) - 1):
        checkpoint.write_bytes(blob[:size])
        with pytest.raises(CheckpointError):
            load_weights(checkpoint)
    checkpoint.write_bytes(blob + b"x")
    with pytest.raises(CheckpointError, match=r"expected \d+ bytes of data"):
        load_weights(checkpoint)


@given(st.binary(max_size=200))
def test_foreign_bytes_end_in_our_error(tmp_path_factory, blob):
    path = tmp_path_factory.mktemp("foreign") / "x"
    for data in (blob, struct.pack("<Q", len(blob)) + blob):
        path.write_bytes(data)
        with pytest.raises(CheckpointError):
            load_weights(path)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "I64"},
        {"dtype": 3},
        {"dtype": []},
        {"dtype": {}},
        {"shape": [-20, -64]},
        {"shape": [20.0, 64]},
        {"shape": [20, True]},
        {"shape": "text"},
        {"shape": None},
        {"shape": [20, 65]},
        {"data_offsets": [0]},
        {"data_offsets": [0, 1 << 62]},
        {"data_offsets": ["0", "4"]},
        {"data_offsets": [4, 5124]},
    ],
)
def test_damaged_entries_are_named(checkpoint, change):
    header, data = header_of(checkpoint)
    header["emb.weight"].update(change)
    write(checkpoint, header, data)
    with pytest.raises(CheckpointError, match=r"emb\.weight"):
        load_weights(checkpoint)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ([], "metadata"),
        ({"config": 3}, "metadata"),
        ({"config": "{"}, "config is no JSON"),
        ({"config": "[1]"}, "config is no JSON object"),
        ({"config": '{"layers": 2}'}, "config has the keys"),
        ({"facts": "[" * 9999}, "facts is no JSON"),
    ],
)
def test_damaged_metadata_are_refused(checkpoint, metadata, words):
    header, data = header_of(checkpoint)
    header["__metadata__"] = metadata
    write(checkpoint, header, data)
    with pytest.raises(CheckpointError, match=words):
        load_weights(checkpoint)


def test_a_config_that_contradicts_the_tensors_is_refused(checkpoint):
    header, data = header_of(checkpoint)
    config = json.loads(header["__metadata__"]["config"])
    header["__metadata__"]["config"] = json.dumps(config | {"rank_g": 25})
    write(checkpoint, header, data)
    with pytest.raises(CheckpointError, match="contradicts"):
        load_weights(checkpoint)


def test_a_name_that_stands_twice_is_refused(checkpoint):
    header, data = header_of(checkpoint)
    text = json.dumps(header)[:-1] + ',"emb.weight":{}}'
    write(checkpoint, text.encode(), data)
    with pytest.raises(CheckpointError, match="twice"):
        load_weights(checkpoint)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.path"):
        load_weights(tmp_path / "nothing.safetensors")
    with pytest.raises(CheckpointError):
        load_weights(tmp_path)


def test_what_does_not_fit_in_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_weights(path, random_weights(CONFIG).tensors, CONFIG, "", {})
    weights = load_weights(path)
    monkeypatch.setattr("os.sysconf", lambda name: 10, raising=False)
    for engine in ENGINES:
        with pytest.raises(CheckpointError, match="this machine has"):
            engine(weights)


def test_layers_far_apart_do_not_allocate(tmp_path):
    shapes = {"emb.weight": (20, 64), "blocks.999999.ln1.weight": (64,)}
    with pytest.raises(CheckpointError, match="1000000 layers in 2 tensors"):
        infer_config(shapes)


def test_the_vocabulary_must_be_the_one_of_the_training():
    vocabulary = load_vocabulary()
    config = ModelConfig(1, 64, len(vocabulary), 8, 8, 8, 8)
    random_weights(config, vocabulary_hash=vocabulary.hash).check_vocabulary(vocabulary)
    random_weights(config).check_vocabulary(vocabulary)
    with pytest.raises(CheckpointError, match="trained on the vocabulary"):
        random_weights(config, vocabulary_hash="0" * 64).check_vocabulary(vocabulary)
    with pytest.raises(CheckpointError, match="the model has 20 tokens"):
        random_weights(CONFIG).check_vocabulary(vocabulary)


def test_reading_maps_the_file(checkpoint):
    tensor = TensorFile(checkpoint).read("emb.weight")
    assert not tensor.flags.owndata
    assert not tensor.flags.writeable
