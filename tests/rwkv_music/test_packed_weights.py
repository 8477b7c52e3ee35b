"""Quantised checkpoints: the same bits as quantising while loading, from memory that is mapped."""

import json
import struct
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from rwkv_music.engine import native
from rwkv_music.engine.native import NativeEngine, pack
from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.model import load_model
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.packed_weights import (
    BITS,
    SCALES,
    PackedWeights,
    is_matrix,
    load_checkpoint,
    save_packed,
    unpack,
)
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.tensor_file import TensorFile, write_tensor_file
from rwkv_music.model.weights import Weights, load_weights, save_weights, tensor_shapes
from rwkv_music.tokenizer import load_vocabulary

pytestmark = pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")

SMALL = ModelConfig(2, 192, 37, 8, 24, 40, 16, enn=True)  # nothing in it fills its padding
WEIGHTS = random_weights(SMALL, seed=3, vocabulary_hash="abc")
TOKENS = [1, 5, 36, 7]


def saved(path, bits=8, weights=WEIGHTS):
    save_packed(path, pack(weights, bits))
    return path


@pytest.fixture
def file(tmp_path):
    return saved(tmp_path / "small.safetensors")


@pytest.mark.parametrize("bits", BITS)
def test_a_file_gives_the_bits_of_quantising_at_load(tmp_path, bits):
    packed = load_checkpoint(saved(tmp_path / "a.safetensors", bits))
    assert isinstance(packed, PackedWeights)
    assert (packed.config, packed.bits, packed.vocabulary_hash) == (SMALL, bits, "abc")
    assert packed.fingerprint == WEIGHTS.fingerprint
    ours, theirs = NativeEngine(packed), NativeEngine(WEIGHTS, bits=bits)
    assert ours.bits == bits
    assert ours.bytes_per_token == theirs.bytes_per_token
    one, other = ours.new_state(), theirs.new_state()
    np.testing.assert_array_equal(ours.prefill(one, TOKENS), theirs.prefill(other, TOKENS))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bits", BITS)
def test_other_engines_run_it_too(tmp_path, bits):
    packed = load_checkpoint(saved(tmp_path / "a.safetensors", bits))
    unpacked = packed.unpacked()
    assert {name: t.shape for name, t in unpacked.tensors.items()} == tensor_shapes(SMALL)
    numpy = NumpyEngine(unpacked)
    got = numpy.prefill(numpy.new_state(), TOKENS)
    engine = NativeEngine(unpacked, bits=32)
    expected = engine.prefill(engine.new_state(), TOKENS)
    np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-4)
    for name, tensor in WEIGHTS.tensors.items():
        error = np.abs(unpacked.tensors[name] - tensor)
        if bits == 32 or not is_matrix(name):
            assert not error.any()
        else:
            coarsest = {16: 2**-8, 8: 1 / 127, 4: 1 / 6}[bits]
            assert error.max() <= coarsest * np.abs(tensor).max()


@pytest.mark.parametrize("shape", [(1, 1), (16, 32), (17, 33), (64, 64), (80, 96), (200, 72)])
def test_the_layout_is_the_one_that_is_written_down(shape):
    """int8 by hand: sixteen outputs a panel, four panels a strip, four inputs a unit."""
    outputs, inputs = shape
    panels, units = -(-outputs // 16), -(-inputs // 32) * 8
    rng = np.random.default_rng(0)
    data = rng.integers(1, 256, panels * units * 64).astype(np.uint8)
    scales = rng.random(panels * 16).astype(np.float32)
    rows = unpack(data, scales.view(np.uint8), outputs, inputs)
    for output, x in ((0, 0), (outputs - 1, inputs - 1), (outputs // 2, inputs // 3)):
        strip, panel = output // 64, output // 16 % 4
        width = min(4, panels - 4 * strip)
        at = strip * 4 * units * 64 + (x // 4 * width + panel) * 64 + output % 16 * 4 + x % 4
        assert rows[output, x] == (np.float32(data[at]) - 128) * scales[output]


def test_every_block_begins_on_a_line_of_the_cache(file):
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
    assert (8 + length) % 64 == 0
    for entry in TensorFile(file).entries.values():
        assert entry.start % 64 == 0


def test_the_weights_stay_in_the_file(file):
    packed = load_checkpoint(file)
    for block in packed.blocks.values():
        assert not block.flags.owndata
        assert not block.flags.writeable
    engine = NativeEngine(packed)
    expected = engine.prefill(engine.new_state(), TOKENS)
    del packed  # the engine keeps what it reads
    np.testing.assert_array_equal(engine.prefill(engine.new_state(), TOKENS), expected)


def test_a_smaller_file_for_fewer_bits(tmp_path):
    large = random_weights(ModelConfig(2, 256, 40, 32, 32, 32, 64))
    sizes = [saved(tmp_path / f"{b}", b, large).stat().st_size for b in BITS]
    assert sizes[0] > 1.8 * sizes[1] > 3.2 * sizes[2] > 4.5 * sizes[3]


def test_any_truncation_is_refused(file):
    blob = file.read_bytes()
    for size in (0, 9, 3000, len(blob) // 2, len(blob) - 1):
        file.write_bytes(blob[:size])
        with pytest.raises(CheckpointError):
            NativeEngine(load_checkpoint(file))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "rwkv-music-packed-9"}, "of the format rwkv-music-packed-9"),
        ({"bits": "5"}, "bits: got '5'"),
        ({"bits": None}, "says nothing of bits"),
        ({"fingerprint": None, "config": None}, "says nothing of config, fingerprint"),
        ({"config": "{"}, "config is no JSON"),
        ({"config": json.dumps(asdict(SMALL) | {"enn": "x"})}, "enn: got 'x', expected true"),
        ({"facts": "3"}, "facts is no JSON object"),
    ],
)
def test_damaged_metadata_are_refused(file, change, words):
    opened = TensorFile(file)
    metadata = {k: v for k, v in {**opened.metadata, **change}.items() if v is not None}
    blocks = {name: opened.block(name).copy() for name in opened.entries}
    write_tensor_file(file, blocks, metadata)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(file)


def damaged(**change):
    packed = pack(WEIGHTS, 4)
    blocks = {**packed.blocks, **change}
    return replace(packed, blocks={k: v for k, v in blocks.items() if v is not None}, source="x")


@pytest.mark.parametrize("run", [NativeEngine, lambda packed: packed.unpacked()])
@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("blocks.1.att.key.weight", None),
        ("blocks.1.att.key.weight", np.zeros(64, np.uint8)),
        ("blocks.1.att.key.weight" + SCALES, None),
        ("blocks.1.att.key.weight" + SCALES, np.zeros(64, np.uint8)),
        ("blocks.0.att.w0", None),
        ("blocks.0.att.w0", np.zeros(64, np.uint8)),
    ],
)
def test_missing_and_misshapen_blocks_are_named(run, name, block):
    with pytest.raises(CheckpointError, match=r"x: .*blocks\..*quantise it again") as caught:
        run(damaged(**{name: block}))
    assert name.removesuffix(SCALES) in str(caught.value)


@pytest.mark.parametrize("run", [NativeEngine, lambda packed: packed.unpacked()])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("bits", "name", "at"),
    [
        (8, "blocks.0.att.w0", np.float32),
        (8, "blocks.1.att.key.weight" + SCALES, np.float32),
        (4, "blocks.1.att.key.weight" + SCALES, np.uint16),
        (16, "blocks.1.att.key.weight", np.uint16),
        (32, "blocks.1.att.key.weight", np.float32),
    ],
)
def test_values_that_are_no_numbers_are_refused(run, value, bits, name, at):
    packed = pack(WEIGHTS, bits)
    block = packed.blocks[name].copy()
    as_float = np.array([value], np.float32)
    block.view(at)[5] = as_float[0] if at is np.float32 else as_float.view(np.uint32)[0] >> 16
    bad = replace(packed, blocks={**packed.blocks, name: block}, source="x")
    named = name.removesuffix(SCALES).replace(".", r"\.")
    with pytest.raises(CheckpointError, match=rf"x: {named}.*: holds .*no finite numbers"):
        run(bad)


def test_blocks_that_begin_within_a_number_are_refused():
    """No processor has to read such; a file of ours has none."""
    for name in ("blocks.0.att.w0", "blocks.1.att.key.weight"):
        whole = pack(WEIGHTS, 8).blocks[name]
        shifted = np.empty(whole.size + 1, np.uint8)[1:]
        shifted[:] = whole
        packed = pack(WEIGHTS, 8)
        with pytest.raises(CheckpointError, match=rf"{name}: begins within a number"):
            NativeEngine(replace(packed, blocks={**packed.blocks, name: shifted}))


PEAK = """
from pathlib import Path
from rwkv_music.engine.native import pack
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights

def bytes_of(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(what))

weights = random_weights(ModelConfig(6, 512, 432, 32, 32, 32, 64))
before = bytes_of("VmRSS:")
packed = pack(weights, 32)
grown = bytes_of("VmHWM:") - before  # the most that there ever was
print(grown / sum(block.size for block in packed.blocks.values()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory that is used")
def test_packing_holds_what_it_makes_once():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5


def test_a_file_for_other_tokens_is_refused_before_anything_runs(file):
    with pytest.raises(CheckpointError, match="the model has 37 tokens"):
        load_model(str(file))
    config = ModelConfig(1, 64, len(load_vocabulary()), 8, 8, 8, 8)
    saved(file, 8, random_weights(config, vocabulary_hash="0" * 64))
    with pytest.raises(CheckpointError, match="trained on the vocabulary"):
        load_model(str(file))


def test_what_does_not_fit_in_memory_is_refused(file, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 100, raising=False)
    with pytest.raises(CheckpointError, match=r"it needs .* this machine has"):
        load_checkpoint(file)


@pytest.mark.parametrize("engine", ["native", "numpy"])
def test_it_is_a_model_like_any_other(tmp_path, engine):
    vocabulary = load_vocabulary()
    config = ModelConfig(1, 64, len(vocabulary), 8, 8, 8, 8)
    weights = random_weights(config, vocabulary_hash=vocabulary.hash)
    path = saved(tmp_path / "tiny.safetensors", 8, weights)
    model = load_model(str(path), engine)
    assert model.name == f"tiny ({engine})"
    whole = tmp_path / "whole.safetensors"
    save_weights(whole, weights.tensors, config, vocabulary.hash, {})
    assert model.fingerprint == load_model(str(whole), engine).fingerprint


def test_checkpoints_that_are_not_quantised_load_as_ever(tmp_path):
    path = tmp_path / "whole.safetensors"
    save_weights(path, WEIGHTS.tensors, SMALL, "abc", {})
    assert isinstance(load_checkpoint(path), Weights)


def test_only_whole_weights_can_be_quantised(file):
    with pytest.raises(CheckpointError, match="its weights are quantised"):
        load_weights(file)
    with pytest.raises(ConfigError, match="bits: got 3"):
        pack(WEIGHTS, 3)
    with pytest.raises(ConfigError, match=r"bits: got 4, .* has 8"):
        NativeEngine(load_checkpoint(file), bits=4)


def test_the_header_is_plain_safetensors(file):
    numpy_door = pytest.importorskip("safetensors.numpy")
    blocks = numpy_door.load_file(file)
    ours = TensorFile(file)
    assert set(blocks) == set(ours.entries)
    for name, block in blocks.items():
        np.testing.assert_array_equal(block, ours.block(name))
    assert json.loads(ours.metadata["config"])["layers"] == 2
