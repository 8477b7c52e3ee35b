"""A whole run with all that it shows; and the run that only tries everything."""

import gc
import weakref
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")
pytest.importorskip("tensorboard", reason="training needs tensorboard: pip install .[train]")

from rwkv_music_train import session  # noqa: E402
from rwkv_music_train.loop import Trainer  # noqa: E402
from rwkv_music_train.ranks import Ranks  # noqa: E402
from rwkv_music_train.session import measure_steps, rehearse, train  # noqa: E402
from training_samples import prepared, tiny_config  # noqa: E402

from rwkv_music.midi_files import read_phrase  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("prepared"), bars=17)


def test_tensorboard_shows_figures_and_samples(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run"
    config = tiny_config(
        data, folder, "run.steps=2", "run.validate_every=2", "run.samples=1", "run.device=cpu"
    )
    finished, checkpoint = train(config)
    assert finished
    assert checkpoint == folder / "checkpoint.safetensors"
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    shown = {"loss", "validation_loss", "rate", "tokens_per_s", "memory_gb", "gradient_norm"}
    assert shown <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss")] == [1, 2]
    (name,) = events.Tags()["images"]
    (picture,) = events.Images(name)
    assert picture.width > 1.5 * picture.height  # two rolls side by side
    samples = folder / "tensorboard" / "samples" / "0000002"
    assert {p.name for p in samples.iterdir()} == {
        "0.model.mid",
        "0.model.png",
        "0.truth.mid",
        "0.truth.png",
    }
    assert len(read_phrase(samples / "0.truth.mid")) <= 8


def test_the_trainer_is_gone_before_the_processes_part(data, tmp_path, monkeypatch):
    seen, found = [], []

    class Watched(Trainer):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            seen.append(weakref.ref(self))

    @contextmanager
    def joined(device):
        yield Ranks()
        gc.collect()
        found.append(seen[0]())

    monkeypatch.setattr(session, "Trainer", Watched)
    monkeypatch.setattr(session, "joined", joined)
    train(tiny_config(data, tmp_path / "run", "run.steps=1", "run.samples=0"))
    assert found == [None]


def test_a_rehearsal_goes_through_everything_and_leaves_nothing(data, tmp_path):
    config = tiny_config(data, tmp_path / "run", "run.steps=500", "run.device=cpu")
    rehearse(config)
    assert not (tmp_path / "run").exists()


def test_steps_are_measured(data, tmp_path):
    seconds, peak = measure_steps(tiny_config(data, tmp_path / "run"), steps=1)
    assert seconds > 0
    assert peak > 1e7
    assert not (tmp_path / "run").exists()
