"""The commands from a folder of MIDI files to a playable model."""

import json
import re

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("rich", reason="training needs rich: pip install .[train]")

from click.testing import CliRunner  # noqa: E402
from rwkv_music_train.cli import cli  # noqa: E402
from training_samples import phrase  # noqa: E402

from rwkv_music.memory import load_memory  # noqa: E402
from rwkv_music.midi_files import read_phrase, write_phrase  # noqa: E402
from rwkv_music.model import load_model  # noqa: E402
from rwkv_music.model.weights import load_weights  # noqa: E402


def run(*arguments):
    result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_midi_files_to_a_model_and_a_memory(tmp_path):
    midis, data = tmp_path / "midi", tmp_path / "prepared"
    midis.mkdir()
    for seed in range(8):
        write_phrase(phrase(seed, bars=40), midis / f"{seed}.mid")
    run("prepare", midis, "-o", data, "--workers", 1, "--valid-share", 0.3)
    config = tmp_path / "tiny.yaml"
    config.write_text(
        f"model: {{layers: 2, width: 64}}\n"
        f"data: {{folder: {data}, windows: {{length: 128}}}}\n"
        f"run: {{folder: {tmp_path / 'run'}, steps: 2, batch: 2, log_every: 1, device: cpu}}\n"
    )
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    foretold = run("estimate", "-c", config, "--measure")
    assert re.search(r"memory +\d+ MB, each process", foretold)
    assert re.search(r"the run +\d+ s for 2 steps", foretold)
    assert "measured" in foretold
    assert "all of it works" in run("run", "-c", config, "--fast-dev-run")
    assert not checkpoint.exists()
    assert "train export" in run("run", "-c", config)
    *steps, last = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert [line["step"] for line in steps] == [1, 2]
    assert last["step"] == 2  # judged at its end, whatever run.validate_every is
    assert last["validation_loss"] > 0
    short = ("--length", 128, "--ngram", 3, "--passages", 2, "--strung", 1024)
    table = run("eval", checkpoint, "--data", data, *short, "--completions", 1)
    for expected in ("bits a note", "3-gram", "the last bar again", "4/4", "pitch classes"):
        assert expected in table
    ways = ("--temperatures", "0.9,1", "--top-ps", 0.95, "--completions", 1)
    assert "| 0.9 " in run("sampling", checkpoint, "--data", data, *ways)
    card = tmp_path / "card.md"
    assert "memories" not in run("card", checkpoint, "--data", data, "-o", card, "--only", "facts")
    assert "| steps " in card.read_text()
    assert "<!-- losses -->" not in card.read_text()
    assert "left out" in run("memories", checkpoint, "--data", data, "-o", tmp_path / "styles")
    samples = tmp_path / "samples"
    run("sample", checkpoint, "--data", data, "-o", samples, "--count", 1, "--bars", 2)
    run("sample", checkpoint, "--midi", midis / "0.mid", "-o", samples / "b", "--count", 1)
    assert read_phrase(samples / "00.model.mid")
    assert (samples / "b" / "00.model.png").exists()
    out = tmp_path / "mine.safetensors"
    run("export", checkpoint, "-o", out, "--note", "data=made up for a test")
    assert load_weights(out).facts["data"] == "made up for a test"
    player = load_model(str(out))
    assert player.name.startswith("mine")
    shares = run("copying", out, "--data", data, "--completions", 1)
    assert "runs of 16 notes" in shares
    memory = tmp_path / "memories" / "me.safetensors"
    said = run(
        "personalize", midis / "1.mid", midis / "2.mid", "-m", out, "-o", memory, "--steps", 1
    )
    assert "from 2 pieces" in said
    assert load_memory(memory, player).state.engine.any()


def test_an_error_of_ours_names_the_place(tmp_path):
    result = CliRunner().invoke(cli, ["run", "--set", f"data.folder={tmp_path}"])
    assert "no train split there; make it with train prepare" in str(result.exception)
