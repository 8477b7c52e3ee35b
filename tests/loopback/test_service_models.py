"""Models are swapped while the service runs, and while it plays."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

import psutil
import pytest
from live_stage import WITHIN_S, live_stage, wait_for
from rwkv_music_daemon.osc.arguments import OscError

from benchmarks.rig import JackServer


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    with resources.as_file(resources.files("rwkv_music") / "data" / "starter.safetensors") as file:
        shutil.copy(file, folder / "other.safetensors")
    (folder / "broken.safetensors").write_bytes(b"no weights at all")
    return tmp_path


def test_a_swap_waits_for_the_music_and_the_music_for_nobody(
    jack_server: JackServer, data_dir: Path
) -> None:
    settings = {
        "service.data_dir": data_dir,
        "model.engine": "auto",
        "transport.tempo_bpm": 180,
        "generation.bars": 2,
        "generation.seed": 1,
        "generation.late_tolerance_ms": 200,  # two models and a test share the machine
    }
    with live_stage(jack_server, **settings) as stage:
        assert stage.osc.request("/rwkv/model/list")[-1].args[0] == "starter"
        stage.osc.request("/rwkv/transport/play")
        first = stage.service.pid("worker")
        request = stage.start_note()
        stage.osc.send("/rwkv/model/load", "other.safetensors")
        _, done = stage.events.wait_for(
            "/rwkv/done", lambda m: m.args[0] == request, timeout_s=WITHIN_S
        )
        assert done.args[1] == 2  # all its bars
        assert done.args[2] > 0  # and notes
        wait_for(lambda: "other" in str(stage.osc.request("/rwkv/status")[-1].args[-1]), "no swap")
        assert first is not None
        wait_for(lambda: not psutil.pid_exists(first), "the first stays")
        stage.start_note()
        with pytest.raises(OscError, match="broken") as error:
            stage.osc.request("/rwkv/model/load", "broken.safetensors")
        assert error.value.code == 406
        stage.start_note()  # the other one is still there
        with pytest.raises(OscError, match="there are") as error:
            stage.osc.request("/rwkv/model/load", "nothing.pth")
        assert error.value.code == 404
