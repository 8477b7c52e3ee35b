"""Weights to start from: exported, official, and those that cannot be trained."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from click.testing import CliRunner  # noqa: E402
from rwkv_music_train import weights as weights_module  # noqa: E402
from rwkv_music_train.cli import cli  # noqa: E402
from rwkv_music_train.config import SIZES, ModelShape  # noqa: E402
from rwkv_music_train.loop import Trainer  # noqa: E402
from rwkv_music_train.model import Rwkv7  # noqa: E402
from rwkv_music_train.weights import (  # noqa: E402
    export_weights,
    import_weights,
    load_model,
    new_model,
)
from training_samples import prepared, tiny_config  # noqa: E402

from rwkv_music.engine import native  # noqa: E402
from rwkv_music.errors import CheckpointError, ConfigError  # noqa: E402
from rwkv_music.model.config import ModelConfig  # noqa: E402
from rwkv_music.model.packed_weights import load_checkpoint  # noqa: E402
from rwkv_music.model.weights import load_weights  # noqa: E402
from rwkv_music.tokenizer import load_vocabulary  # noqa: E402

VOCABULARY = len(load_vocabulary())


def model(seed=0, vocabulary=VOCABULARY, enn=False, layers=2, width=64, shaken=0.02):
    torch.manual_seed(seed)
    made = Rwkv7(ModelConfig.sized(layers, width, vocabulary, enn=enn))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += shaken * torch.randn_like(parameter)
    return made


def official(path, vocabulary=VOCABULARY):
    """A .pth as the public training code writes it: bfloat16, with the value residual of layer 0
    that nothing uses."""
    made = {name: t.bfloat16() for name, t in model(vocabulary=vocabulary).state_dict().items()}
    made["blocks.0.att.v0"] = torch.zeros(1, 1, 64).bfloat16()
    made["blocks.0.att.v1"] = torch.zeros(64, 32).bfloat16()
    made["blocks.0.att.v2"] = torch.zeros(32, 64).bfloat16()
    torch.save(made, path)
    return made


def test_official_weights_become_ours_and_a_run_starts_from_them(tmp_path):
    tensors = official(tmp_path / "x070.pth")
    out = tmp_path / "start.safetensors"
    config = import_weights(tmp_path / "x070.pth", out, new_tokens=False)
    assert (config.layers, config.width) == (2, 64)
    start = new_model(ModelShape(start=str(out)))
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(tensor, tensors[name].float(), rtol=0, atol=0)
    config = tiny_config(prepared(tmp_path), tmp_path / "run", f"model.start={out}")
    trainer = Trainer(config)
    torch.testing.assert_close(
        trainer.model.blocks[1].ffn.key.weight, tensors["blocks.1.ffn.key.weight"].float()
    )
    assert trainer.step()[0] > 0


def test_weights_for_other_tokens_keep_their_layers(tmp_path):
    tensors = official(tmp_path / "text.pth", vocabulary=1000)
    out = tmp_path / "start.safetensors"
    with pytest.raises(CheckpointError, match=r"speaks 1000 tokens .* --new-tokens"):
        import_weights(tmp_path / "text.pth", out, new_tokens=False)
    assert not out.exists()
    import_weights(tmp_path / "text.pth", out, new_tokens=True)
    weights = load_weights(out)
    assert weights.config.vocabulary == VOCABULARY
    name = "blocks.0.att.receptance.weight"
    np.testing.assert_array_equal(weights.tensors[name], tensors[name].float().numpy())
    head = weights.tensors["head.weight"].astype(np.float64)
    gain = (0.5 * (VOCABULARY / 64) ** 0.5) ** 2
    np.testing.assert_allclose(head.T @ head, gain * np.eye(64), atol=1e-5)


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Bad:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    torch.save({"emb.weight": Bad()}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="no table of tensors that can be read safely"):
        import_weights(tmp_path / "bad.pth", tmp_path / "out.safetensors", new_tokens=False)
    assert not (tmp_path / "touched").exists()


def test_weights_of_another_family_are_named(tmp_path):
    torch.save({"blocks.0.att.time_maa_x": torch.zeros(1)}, tmp_path / "v6.pth")
    with pytest.raises(CheckpointError, match="RWKV-6"):
        import_weights(tmp_path / "v6.pth", tmp_path / "out.safetensors", new_tokens=False)


def test_quantised_weights_are_not_trained(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "small.safetensors"
    save_file({"blocks.0.att.key.weight": np.zeros((4, 4), np.int8)}, path)
    with pytest.raises(CheckpointError, match="quantised"):
        load_model(path)


def test_a_pth_is_not_a_start(tmp_path):
    official(tmp_path / "x070.pth")
    with pytest.raises(CheckpointError, match="train import"):
        new_model(ModelShape(start=str(tmp_path / "x070.pth")))


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    from safetensors.torch import save_file

    tensors = dict(model().state_dict())
    tensors["ln_out.weight"] = torch.full_like(tensors["ln_out.weight"], torch.nan)
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match="no finite numbers"):
        load_model(tmp_path / "nan.safetensors")


def test_enn_grafted_onto_x070_begins_as_x070(tmp_path):
    plain, out = model().double(), tmp_path / "plain.safetensors"
    export_weights(out, plain, {}, bfloat16=False)
    grafted = new_model(ModelShape(start=str(out), enn=True)).double().eval()
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(
            grafted(tokens)[0], load_model(out).double()(tokens)[0], rtol=0, atol=0
        )


def test_sizes_by_name(tmp_path):
    from rwkv_music_train.config import read_config

    assert {"tiny", "3B"} <= SIZES.keys()
    config = read_config(None, ("model.size=small", "model.width=256"))
    assert (config.model.layers, config.model.width) == (12, 256)
    with pytest.raises(ConfigError, match=r"model\.size: got 'huge', expected one of tiny"):
        read_config(None, ("model.size=huge",))
    billions = ModelConfig.sized(*SIZES["3B"], 65536).parameters / 1e9
    assert 2.8 < billions < 3.1


@pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")
@pytest.mark.parametrize("bits", ["8", "4"])
def test_a_run_is_exported_quantised(tmp_path, bits):
    """What `models quantize` makes of the bfloat16 file, so that one's memories fit it."""
    (tmp_path / "run").mkdir()
    Trainer(tiny_config(prepared(tmp_path), tmp_path / "run")).save()
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    whole, packed = tmp_path / "whole.safetensors", tmp_path / "packed.safetensors"
    for out, more in ((whole, ()), (packed, ("--bits", bits))):
        words = ["export", str(checkpoint), "-o", str(out), *more]
        result = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    made, meant = load_checkpoint(packed), load_weights(whole)
    assert made.bits == int(bits)
    assert made.fingerprint == meant.fingerprint
    assert made.facts == meant.facts
    assert packed.stat().st_size < 0.8 * whole.stat().st_size
    with pytest.raises(CheckpointError, match="quantised weights"):
        load_model(packed)
    both = ["export", str(checkpoint), "-o", str(packed), "--bits", bits, "--float32"]
    assert "not both" in CliRunner().invoke(cli, both).output


def test_without_the_compiled_engine_nothing_is_quantised(tmp_path, monkeypatch):
    monkeypatch.setattr(weights_module, "absence", lambda: "no compiler")
    out = tmp_path / "packed.safetensors"
    with pytest.raises(ConfigError, match=r"--bits 8: .* \(no compiler\); .* without --bits"):
        export_weights(out, model(), {}, bits=8)
    assert not out.exists()
