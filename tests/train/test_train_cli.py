"""The commands from token files to a playable model."""

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("rich", reason="training needs rich: pip install .[train]")

from click.testing import CliRunner  # noqa: E402
from rwkv_music_train.cli import cli  # noqa: E402
from training_samples import prepared  # noqa: E402

from rwkv_music.model import load_model  # noqa: E402
from rwkv_music.model.weights import load_weights  # noqa: E402


def run(*arguments):
    result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_run_eval_export_and_load(tmp_path):
    data = prepared(tmp_path, bars=17)
    config = tmp_path / "tiny.yaml"
    config.write_text(
        f"model: {{layers: 2, width: 64}}\n"
        f"data: {{folder: {data}, windows: {{length: 128}}}}\n"
        f"run: {{folder: {tmp_path / 'run'}, steps: 2, batch: 2, log_every: 1}}\n"
    )
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    assert "train export" in run("run", "-c", config)
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 2
    table = run("eval", checkpoint, "--data", data, "--length", 128)
    assert "model" in table
    assert "3-gram" in table
    out = tmp_path / "mine.safetensors"
    run("export", checkpoint, "-o", out, "--note", "data=made up for a test")
    assert load_weights(out).facts["data"] == "made up for a test"
    assert load_model(str(out)).name.startswith("mine")
    shares = run("copying", out, "--data", data, "--completions", 1)
    assert shares.count("runs of") == 2


@pytest.mark.parametrize("command", ["prepare", "run", "eval", "copying", "export"])
def test_every_command_has_help_with_an_example(command):
    assert f"Example: train {command} " in run(command, "--help")
