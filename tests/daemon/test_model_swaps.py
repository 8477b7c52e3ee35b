"""Other models: which may be named, who is answered, and a memory to begin from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rwkv_music_daemon.beginning import load_start
from rwkv_music_daemon.config import from_dict
from rwkv_music_daemon.messages import Forget, Hear
from rwkv_music_daemon.models import Models
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.worker import Worker

from rwkv_music.errors import CheckpointError, ConfigError
from rwkv_music.memory import save_memory
from rwkv_music.model import load_model
from rwkv_music.model.scripted import ScriptedModel

ASKER = ("127.0.0.1", 9001)
BAR = Hear(0, "4/4", 120.0, ((0, 60, 64, 6, False),), True)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    for name in ("waltz.safetensors", "big.safetensors", "official.pth", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    return Models(tmp_path)


def test_the_embedded_model_and_the_checkpoints_of_the_folder(models: Models) -> None:
    assert models.names() == ("starter", "big.safetensors", "waltz.safetensors")


def test_where_there_is_no_folder_there_is_the_embedded_model(tmp_path: Path) -> None:
    assert Models(tmp_path / "nothing").names() == ("starter",)


def test_a_name_is_a_path_and_the_embedded_one_is_none(models: Models, tmp_path: Path) -> None:
    assert models.load(ASKER, "big.safetensors") == str(tmp_path / "big.safetensors")
    assert list(models.finish("big")) == [(ASKER, "/rwkv/model", ("big",))]
    assert models.load(ASKER, "starter") == ""


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "official.pth", "none.safetensors", "../big.safetensors", "/etc/passwd", ""],
)
def test_no_other_file_can_be_named(models: Models, name: str) -> None:
    with pytest.raises(OscError, match="waltz") as error:
        models.load(ASKER, name)
    assert error.value.code == 404


def test_one_at_a_time_and_only_who_asked_is_answered(models: Models) -> None:
    assert list(models.finish("a worker that came by itself")) == []
    models.load(ASKER, "big.safetensors")
    with pytest.raises(OscError) as error:
        models.load(ASKER, "starter")
    assert error.value.code == 406
    refused = list(models.finish("", "no weights"))
    assert refused == [(ASKER, "/rwkv/error", (406, "no weights", "/rwkv/model/load"))]
    models.load(ASKER, "starter")


def test_a_service_begins_from_a_memory_and_returns_to_it(tmp_path: Path) -> None:
    model = ScriptedModel()
    known = Worker(model, lambda message: None)
    known.handle([BAR])
    (tmp_path / "memories").mkdir()
    save_memory(tmp_path / "memories" / "verse.safetensors", model, known.session.fork())
    config = from_dict({"model": {"memory": "verse"}, "service": {"data_dir": str(tmp_path)}})
    worker = Worker(model, lambda message: None, load_start(config, model))
    assert worker.session.fork() == known.session.fork()
    worker.handle([BAR])
    assert worker.session.fork() != known.session.fork()
    worker.handle([Forget()])
    assert worker.session.fork() == known.session.fork()


def test_a_memory_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    config = from_dict({"model": {"memory": "verse"}, "service": {"data_dir": str(tmp_path)}})
    with pytest.raises(ConfigError, match=r"model\.memory.*verse.*classical, pop, song"):
        load_start(config, ScriptedModel())


def test_a_service_begins_from_a_memory_of_the_package(tmp_path: Path) -> None:
    model = load_model("", "numpy")
    config = from_dict({"model": {"memory": "pop"}, "service": {"data_dir": str(tmp_path)}})
    start = load_start(config, model)
    assert start is not None
    assert not np.array_equal(start.state.engine, model.start().engine)
    with pytest.raises(CheckpointError, match="cannot understand"):
        load_start(config, ScriptedModel())


def test_a_memory_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "memories").mkdir()
    path = tmp_path / "memories" / "verse.safetensors"
    other = ScriptedModel("steps")
    save_memory(path, other, other.start())
    config = from_dict({"model": {"memory": "verse"}, "service": {"data_dir": str(tmp_path)}})
    with pytest.raises(CheckpointError, match="cannot understand"):
        load_start(config, ScriptedModel())
