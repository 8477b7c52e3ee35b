import subprocess
import sys

import numpy as np
import pytest

from rwkv_music.engine import native
from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.model import _engine, _has_gpu, load_model
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.weights import load_weights, save_weights
from rwkv_music.music import Meter
from rwkv_music.tokenizer import load_vocabulary


@pytest.fixture
def checkpoint(tmp_path):
    vocabulary = load_vocabulary()
    config = ModelConfig(1, 64, len(vocabulary), 8, 8, 8, 8)
    path = tmp_path / "tiny.safetensors"
    save_weights(path, random_weights(config).tensors, config, vocabulary.hash, {})
    return path


@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_a_checkpoint_becomes_a_model(checkpoint, engine):
    model = load_model(str(checkpoint), engine)
    fastest = "numpy" if native.absence() else "native"
    assert model.name == f"tiny ({fastest if engine == 'auto' else engine})"
    state = model.start()
    model.open_bar(state, Meter(4, 4), 120.0)
    assert np.isfinite(state.logits).all()


def test_the_scripts_are_models():
    assert load_model(engine="scripted").name == "scripted (beats)"
    assert load_model("steps", "scripted").name == "scripted (steps)"


def test_an_engine_that_is_not_there_says_so(checkpoint, monkeypatch):
    monkeypatch.setattr("rwkv_music.model.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="torch is not installed"):
        load_model(str(checkpoint), "torch")


def test_without_a_compiler_numpy_serves_and_one_line_says_so(checkpoint, monkeypatch, caplog):
    monkeypatch.setattr(native, "absence", lambda: "No module named _native")
    monkeypatch.setattr(native, "remedy", lambda: "install a C++ compiler")
    assert load_model(str(checkpoint), "auto").name == "tiny (numpy)"
    assert [record.getMessage() for record in caplog.records] == [
        "The native engine is not there (No module named _native): the slower NumPy engine serves."
        " To have it, install a C++ compiler."
    ]
    with pytest.raises(ConfigError, match=r"not there \(No module named _native\); install a C"):
        load_model(str(checkpoint), "native")


def test_unknown_engines_are_refused(checkpoint):
    with pytest.raises(ConfigError, match="expected one of auto"):
        load_model(str(checkpoint), "nunpy")


def test_wrong_checkpoints_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(str(tmp_path / "none.safetensors"))
    config = ModelConfig(1, 64, 7, 8, 8, 8, 8)
    path = tmp_path / "other.safetensors"
    save_weights(path, random_weights(config).tensors, config, "", {})
    with pytest.raises(CheckpointError, match="the model has 7 tokens"):
        load_model(str(path))


def test_the_scripted_model_loads_no_engine_and_nothing_loads_torch():
    program = (
        "import sys; from rwkv_music.model import load_model; load_model(engine='scripted');"
        "print([m for m in sys.modules if 'numpy_engine' in m or m in ('torch', 'miditok')])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert loaded.stdout.strip() == b"[]"


def test_auto_takes_a_gpu_for_large_models_alone(checkpoint, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr("rwkv_music.model._has_gpu", lambda: True)
    assert "torch" not in load_model(str(checkpoint)).name
    monkeypatch.setattr("rwkv_music.model._LARGE", 1)
    assert load_model(str(checkpoint)).name == "tiny (torch)"


MOST = 10**9


@pytest.mark.skipif(bool(native.absence()), reason="the native engine is not built")
@pytest.mark.parametrize(
    ("cores", "large", "in_cache", "threads"),
    [(4, 1, 0, 2), (2, 1, MOST, 1), (8, MOST, 0, 1), (4, MOST, MOST, 2)],
)
def test_a_second_thread_is_for_large_models_and_for_takes_where_cores_are_left(
    checkpoint, monkeypatch, cores, large, in_cache, threads
):
    monkeypatch.setattr("rwkv_music.model._IN_CACHE", in_cache)
    monkeypatch.setattr("rwkv_music.model._LARGE", large)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert _engine(load_weights(checkpoint), "native").threads == threads


def test_no_driver_is_no_gpu(monkeypatch):
    def none(name):
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", none)
    assert not _has_gpu()


@pytest.mark.parametrize(
    ("answers", "devices", "found"), [(0, 1, True), (0, 0, False), (1, 1, False)]
)
def test_the_driver_is_asked_for_devices(monkeypatch, answers, devices, found):
    class Driver:
        def cuInit(self, flags):
            return answers

        def cuDeviceGetCount(self, count):
            count._obj.value = devices
            return 0

    monkeypatch.setattr("rwkv_music.model.util.find_spec", lambda name: True)
    monkeypatch.setattr("ctypes.CDLL", lambda name: Driver())
    assert _has_gpu() == found
