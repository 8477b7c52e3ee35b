"""Training configs: defaults, overrides, and errors that name the place and the remedy."""

import pytest

pytest.importorskip("yaml")

from rwkv_music_train.config import (
    TrainConfig,
    config_from_table,
    config_to_table,
    read_config,
)

from rwkv_music.errors import ConfigError


def test_without_a_file_everything_has_a_default():
    assert read_config(None) == TrainConfig()


def test_a_file_and_overrides(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "model: {layers: 3}\n"
        "data: {set_weights: {pop: 2}, windows: {context_bars: [1, 2], completion_bars: 4}}\n"
        "optimiser: {rate: 1e-3}\n"
    )
    config = read_config(path, ("model.width=128", "run.folder=here"))
    assert (config.model.layers, config.model.width) == (3, 128)
    assert config.data.set_weights == {"pop": 2.0}
    assert config.data.windows.context_bars == (1, 2)
    assert config.data.windows.completion_bars == 4
    assert config.optimiser.rate == 0.001
    assert config.run.folder == "here"
    assert config_from_table(config_to_table(config), "stored") == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.layer=3", r"config\.model\.layer: unknown; did you mean layers"),
        ("nothing=3", r"config\.nothing: unknown; there are model, data"),
        ("model.layers=deep", r"config\.model\.layers: got 'deep', expected int"),
        ("model.layers=true", r"config\.model\.layers: got True, expected int"),
        ("optimiser.rate=fast", r"config\.optimiser\.rate: got 'fast', expected float"),
        ("model=3", r"config\.model: expected a table, got 3"),
        ("run.precision=int4", r"run\.precision: got 'int4', expected one of float32, bfloat16"),
        ("run.accumulate=3", r"run\.accumulate: got 3, expected a divisor of run\.batch 4"),
        ("model.layers", r"--set model\.layers: expected NAME=VALUE"),
        ("model.layers=[", r"--set model\.layers=\[: no YAML"),
        ("model.width=100", r"model\.width: got 100, expected a multiple of 64"),
        ("run.batch=0", r"run\.batch: got 0, expected 1 or more"),
        ("data.windows.completion_bars=0", r"completion_bars: got 0, expected 1 or more"),
        ("optimiser.rate=-1e-3", r"optimiser\.rate: got -0\.001, expected 0 or more"),
        ("optimiser.clip=.nan", r"optimiser\.clip: got nan, expected 0 or more"),
        ("model.dropout=1.5", r"model\.dropout: got 1\.5, expected a share, from 0 to 1"),
    ],
)
def test_errors_name_the_place(override, message):
    with pytest.raises(ConfigError, match=message):
        read_config(None, (override,))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")
