"""The whole recipe on a budget of seconds: what it leaves, that it goes on, what make says."""

import shutil
import subprocess
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("tensorboard", reason="training needs tensorboard: pip install .[train]")
pytest.importorskip("rich", reason="training needs rich: pip install .[train]")

from click.testing import CliRunner  # noqa: E402
from rwkv_music_train.card import SECTIONS  # noqa: E402
from rwkv_music_train.checkpoint import load_run  # noqa: E402
from rwkv_music_train.cli import cli  # noqa: E402
from rwkv_music_train.recipe import read_recipe  # noqa: E402
from training_samples import phrase  # noqa: E402

from rwkv_music.midi_files import write_phrase  # noqa: E402
from rwkv_music.model import load_model  # noqa: E402
from rwkv_music.model.weights import load_weights  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def midis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("midi")
    for seed in range(8):
        write_phrase(phrase(seed, bars=36), folder / f"{seed}.mid")
    return folder


def model(*arguments):
    words = ["model", *map(str, arguments), "--tiny", "--workers", "1", "--valid-share", "0.3"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_from_midi_files_to_a_card_and_no_stage_twice(midis, tmp_path):
    out = tmp_path / "model"
    cpu = ("--set", "run.device=cpu")
    said = model(midis, "-o", out, *cpu)
    assert "--set model.path=" in said
    facts = load_weights(out / "model.safetensors").facts
    assert facts["steps"] == 20
    assert facts["settings"]["data"]["set_weights"] == {"pop909": 2.0}  # the recipe's own
    assert load_model(str(out / "model.safetensors")).name.startswith("model (")
    card = (out / "card.md").read_text()
    assert all(f"<!-- end of {section} -->" in card for section in SECTIONS)
    assert "No memories come with it." in card  # these pieces are of no set that has a style
    for figure in ("bits a note", "the last bar again", "against a fresh state", "real pieces"):
        assert figure in card
    before = times(out)
    model(midis, "-o", out, *cpu)
    after = times(out)
    again = {path.relative_to(out) for path in before if before[path] != after[path]}
    assert again <= {Path("prepared", name) for name in ("refused.csv", "statistics.json")}

    (out / "card.md").write_text(card.replace("<!-- end of copying -->", ""))
    model(midis, "-o", out, *cpu)
    assert "<!-- end of copying -->" in (out / "card.md").read_text()

    model(midis, "-o", out, *cpu, "--set", "run.steps=22")
    assert load_run(out / "run" / "checkpoint.safetensors").progress.step == 22
    assert load_weights(out / "model.safetensors").facts["steps"] == 22
    assert "| 22" in (out / "card.md").read_text()


def test_a_recipe_of_ones_own_keeps_the_folders(tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("model: {layers: 3, width: 128}\ndata: {folder: elsewhere}\n")
    config = read_recipe(recipe, tmp_path / "out", ("run.steps=7",))
    assert (config.model.layers, config.run.steps) == (3, 7)
    assert config.data.folder == str(tmp_path / "out" / "prepared")
    assert read_recipe(None, tmp_path).model.layers == 6


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["model", "model-card"])
def test_make_says_what_is_missing(target):
    done = subprocess.run(["make", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "DATA is missing: make model DATA=" in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_follows_the_recipe():
    words = ["make", "-n", "model", "DATA=midi", "TINY=1", "OUT=o", "ARGS=--set run.steps=3"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "train model midi -o o --tiny --set run.steps=3" in done.stdout
