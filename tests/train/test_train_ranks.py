"""Two processes that share each step have the losses of one."""

import json
import subprocess
import sys
import weakref
from contextlib import nullcontext

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train import ranks  # noqa: E402
from rwkv_music_train.loop import Trainer  # noqa: E402
from rwkv_music_train.ranks import Ranks, choose_device, joined  # noqa: E402
from training_samples import prepared, tiny_config  # noqa: E402

from rwkv_music.errors import ConfigError  # noqa: E402

STEPS = 4


def settings(order):
    return (
        f"data.order={order}",
        "model.dropout=0",
        "run.precision=float32",
        "run.device=cpu",
        "run.batch=4",
        "run.accumulate=2",
        "run.threads=1",
        f"run.steps={STEPS}",
        f"run.validate_every={STEPS}",
        "run.samples=0",
    )


def logged(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row], rows[-1]["validation_loss"]


@pytest.mark.timeout(300)
def test_two_gloo_processes_equal_one(tmp_path):
    order = "pieces"  # with states that go on, which each process has a part of
    data = prepared(tmp_path, bars=17)
    one = tiny_config(data, tmp_path / "one", *settings(order))
    Trainer(one).run(lambda figures: None)
    two = tmp_path / "two"
    made = [
        *settings(order),
        f"run.folder={two}",
        f"data.folder={data}",
        "data.windows.length=128",
        "model.layers=2",
        "model.width=64",
        "optimiser.warmup_steps=2",
        "run.validation_windows=2",
        "run.log_every=1",
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "rwkv_music_train", "run"]
    command += [word for setting in made for word in ("--set", setting)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "done; make it playable" in done.stdout
    (losses, validation), (losses_of_two, validation_of_two) = logged(tmp_path / "one"), logged(two)
    assert len(losses) == STEPS
    assert losses_of_two == pytest.approx(losses, rel=1e-5)
    assert validation_of_two == pytest.approx(validation, rel=1e-5)
    # what one process saved, or two, another number of processes goes on from
    again = Trainer(tiny_config(data, two, *settings(order), "run.steps=6"))
    alone = Trainer(tiny_config(data, tmp_path / "one", *settings(order), "run.steps=6"))
    assert again.progress.step == STEPS
    assert again.step()[0] == pytest.approx(alone.step()[0], rel=1e-5)


class _Held:
    """What holds itself, as modules with hooks do."""

    def __init__(self):
        self.itself = self


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_trained_is_gone_when_processes_part(monkeypatch, fails):
    """Gloo waits forever for the lock of a process that lets go of it by DDP's reducer."""
    seen, found = [], []

    def work():
        held = _Held()
        seen.append(weakref.ref(held))
        if fails:
            raise ValueError("no room")

    monkeypatch.setattr(ranks.dist, "init_process_group", lambda kind: None)
    monkeypatch.setattr(ranks.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(ranks.dist, "destroy_process_group", lambda: found.append(seen[0]()))
    failure = pytest.raises(ValueError, match="no room") if fails else nullcontext()
    with failure, joined("cpu", {"WORLD_SIZE": "2"}):
        work()
    assert found == [None]


def test_rows_are_shared_without_a_rest():
    assert [list(Ranks(rank, 2).share(6)) for rank in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ConfigError, match="5 rows cannot be shared by 2 processes"):
        Ranks(0, 2).share(5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_an_error():
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="finds no GPU"):
        choose_device("cuda")
