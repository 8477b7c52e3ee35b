"""`models` on the command line."""

import pytest
from click.testing import CliRunner
from rwkv_music_daemon.cli import cli

from rwkv_music.engine import native
from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.model import load_model
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.weights import save_weights
from rwkv_music.tokenizer import load_vocabulary

NEEDS_NATIVE = pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def checkpoint(folder):
    vocabulary = load_vocabulary()
    config = ModelConfig(1, 64, len(vocabulary), 8, 8, 8, 8)
    path = folder / "tiny.safetensors"
    save_weights(path, random_weights(config).tensors, config, vocabulary.hash, {"data": "noise"})
    return path


def run(*arguments):
    result = CliRunner().invoke(cli, ["models", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@NEEDS_NATIVE
@pytest.mark.parametrize("bits", [16, 8, 4])
def test_a_quantised_checkpoint_is_smaller_and_plays(folder, checkpoint, bits):
    out = folder / "small.safetensors"
    told = run("quantize", checkpoint, out, "--bits", bits)
    assert f"small.safetensors: {bits} bits" in told
    assert out.stat().st_size < checkpoint.stat().st_size
    assert load_model(str(out)).name == "small (native)"
    assert f"{bits} bits" in run("info", out)


def test_info_says_what_it_is_and_how_it_was_trained(checkpoint):
    told = run("info", checkpoint)
    assert "RWKV-7, 1 layers, width 64" in told
    assert "not quantised" in told
    assert "tokens: 432, the ones of this version" in told
    assert "data: noise" in told


def test_info_says_when_the_tokens_are_others(folder):
    config = ModelConfig(1, 64, 7, 8, 8, 8, 8)
    path = folder / "other.safetensors"
    save_weights(path, random_weights(config).tensors, config, "", {})
    assert "not usable here" in run("info", path)


def test_list_names_what_the_service_can_load_and_what_is_damaged(folder, checkpoint):
    (folder / "broken.safetensors").write_bytes(b"nothing")
    told = run("list", "--set", f"service.data_dir={folder.parent}").splitlines()
    assert told[0].startswith("starter: ")
    assert told[1].startswith("broken.safetensors: ")
    assert "expected a safetensors file" in told[1]
    assert told[2].startswith("tiny.safetensors: RWKV-7, 1 layers")


@NEEDS_NATIVE
def test_a_file_that_is_there_is_replaced_only_when_asked(folder, checkpoint):
    out = folder / "out.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="--force"):
        run("quantize", checkpoint, out)
    assert out.read_bytes() == b"mine"
    run("quantize", checkpoint, out, "--force")
    assert load_model(str(out), "native")


@NEEDS_NATIVE
def test_what_cannot_be_quantised_is_refused_and_nothing_is_written(folder, checkpoint):
    before = checkpoint.read_bytes()
    with pytest.raises(ConfigError, match="the checkpoint itself"):
        run("quantize", checkpoint, checkpoint)
    assert checkpoint.read_bytes() == before
    checkpoint.write_bytes(before[:-1])
    with pytest.raises(CheckpointError, match="truncated"):
        run("quantize", checkpoint, folder / "out.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        run("quantize", folder / "none.safetensors", folder / "out.safetensors")
    assert not (folder / "out.safetensors").exists()
