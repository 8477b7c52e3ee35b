"""A run learns, resumes to the bit, stops on a signal, and can be exported."""

import itertools
import json
import os
import signal

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install .[train]")

from rwkv_music_train.batches import collate  # noqa: E402
from rwkv_music_train.checkpoint import load_run, training_facts  # noqa: E402
from rwkv_music_train.config import OptimiserOptions, read_config  # noqa: E402
from rwkv_music_train.evaluate import mean_loss  # noqa: E402
from rwkv_music_train.loop import Trainer  # noqa: E402
from rwkv_music_train.loss import Inputs, summed_loss  # noqa: E402
from rwkv_music_train.optimiser import make_optimiser, rate_at  # noqa: E402
from rwkv_music_train.pieces import read_split  # noqa: E402
from rwkv_music_train.weights import export_weights, load_model  # noqa: E402
from rwkv_music_train.windows import cut_window, validation_windows  # noqa: E402
from training_samples import piece, prepared, tiny_config  # noqa: E402

from rwkv_music.errors import CheckpointError, TrainingError  # noqa: E402
from rwkv_music.model.weights import load_weights  # noqa: E402
from rwkv_music.tokenizer import load_vocabulary  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("prepared"))


def losses(trainer, steps):
    return [trainer.step()[0] for _ in range(steps)]


def test_a_tiny_model_overfits_one_batch(data, tmp_path):
    trainer = Trainer(tiny_config(data, tmp_path, "model.dropout=0", "run.precision=float32"))
    v = load_vocabulary()
    inputs = Inputs.of(collate([cut_window(piece(0), 0, 1, 2, 128, v.bos)], v))
    for group in trainer.optimiser.param_groups:
        group["lr"] = 3e-3
    for _ in range(120):
        loss = summed_loss(trainer.model, inputs) / len(inputs.targets_R)
        loss.backward()
        trainer.optimiser.step()
        trainer.optimiser.zero_grad()
    assert loss.item() < 0.05


@pytest.mark.parametrize("order", ["random", "sliding", "pieces"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_has_the_losses_of_a_run_that_was_not_stopped(
    data, tmp_path, precision, order
):
    settings = (
        "model.dropout=0.1",
        f"run.precision={precision}",
        "run.accumulate=2",
        f"data.order={order}",
    )
    whole = losses(Trainer(tiny_config(data, tmp_path / "a", *settings)), 6)
    first = Trainer(tiny_config(data, tmp_path / "b", *settings))
    (tmp_path / "b").mkdir()
    before = losses(first, 3)
    first.save()
    second = Trainer(tiny_config(data, tmp_path / "b", *settings))
    assert second.progress.step == 3
    assert before + losses(second, 3) == whole


def test_parts_of_a_batch_weigh_by_their_targets(data, tmp_path):
    one = Trainer(tiny_config(data, tmp_path / "a", "run.precision=float32"))
    two = Trainer(tiny_config(data, tmp_path / "b", "run.precision=float32", "run.accumulate=2"))
    one.model.eval(), two.model.eval()
    a, b = (trainer.step() for trainer in (one, two))
    assert a[1] == b[1]
    assert a[0] == pytest.approx(b[0], rel=1e-5)


def test_sigterm_saves_and_stops(data, tmp_path):
    trainer = Trainer(tiny_config(data, tmp_path / "run", "run.steps=50"))

    def stop_after_two(figures):
        if figures["step"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    assert trainer.run(stop_after_two) is False
    assert signal.getsignal(signal.SIGTERM) is before
    assert load_run(trainer.checkpoint).progress.step == 2


def test_a_finished_run_is_exported_and_evaluated(data, tmp_path):
    config = tiny_config(data, tmp_path / "run", "run.steps=2", "run.validate_every=1")
    trainer = Trainer(config)
    reported = []
    assert trainer.run(reported.append) is True
    assert sum("validation_loss" in figures for figures in reported) == 2
    stored = load_run(trainer.checkpoint)
    assert [step for step, _ in stored.progress.validation] == [1, 2]
    out = tmp_path / "model.safetensors"
    export_weights(out, stored.model(), training_facts(stored), bfloat16=False)
    weights = load_weights(out)
    weights.check_vocabulary(load_vocabulary())
    assert weights.facts["steps"] == 2
    assert "folder" not in weights.facts["settings"]["run"]
    for name, tensor in trainer.model.state_dict().items():
        np.testing.assert_array_equal(weights.tensors[name], tensor.numpy())
    v = load_vocabulary()
    windows = validation_windows(read_split(data, "valid", v), v, 128, 2, 0)
    exported, kept = (mean_loss(load_model(p), windows, v) for p in (out, trainer.checkpoint))
    assert exported == kept
    assert kept[1] > 0


def test_another_shape_does_not_resume(data, tmp_path):
    (tmp_path / "run").mkdir()
    Trainer(tiny_config(data, tmp_path / "run")).save()
    with pytest.raises(CheckpointError, match=r"choose another run\.folder"):
        Trainer(tiny_config(data, tmp_path / "run", "model.layers=3"))


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_run(path)


def test_decay_and_rates_by_group(data, tmp_path):
    trainer = Trainer(tiny_config(data, tmp_path))
    optimiser = make_optimiser(trainer.model, OptimiserOptions(weight_decay=0.3))
    group_of = {id(p): g for g in optimiser.param_groups for p in g["params"]}
    for name, parameter in trainer.model.named_parameters():
        group = group_of[id(parameter)]
        matrix = parameter.ndim == 2 and name.endswith("weight")
        assert group["weight_decay"] == (0.3 if matrix else 0.0), name
        assert group["rate_scale"] == (2.0 if name.endswith("att.w0") else 1.0), name


def test_schedules_warm_up_and_end_low():
    for schedule in ("cosine", "wsd"):
        options = OptimiserOptions(rate=1.0, warmup_steps=10, schedule=schedule, last_rate=0.1)
        rates = [rate_at(step, 100, options) for step in range(101)]
        assert rates[0] == pytest.approx(0.1)
        assert max(rates) == pytest.approx(1.0)
        assert rates[100] == pytest.approx(0.1)
        assert all(a >= b - 1e-12 for a, b in itertools.pairwise(rates[10:]))
    assert rates[60] == 1.0  # wsd stays


def test_recomputing_changes_no_loss(data, tmp_path):
    runs = [
        losses(Trainer(tiny_config(data, tmp_path / f, "run.precision=float32", f)), 3)
        for f in ("run.recompute=false", "run.recompute=true")
    ]
    assert runs[0] == pytest.approx(runs[1], rel=1e-5)


def test_enn_learns(data, tmp_path):
    trainer = Trainer(tiny_config(data, tmp_path, "model.enn=true", "optimiser.rate=1e-2"))
    before = trainer.model.blocks[0].ffn.enn.weight.detach().clone()
    made = losses(trainer, 8)
    assert made[-1] < made[0]
    assert (trainer.model.blocks[0].ffn.enn.weight != before).any()


def test_whole_pieces_go_on_from_the_state_of_the_step_before(data, tmp_path):
    """The first step's rows end somewhere; the second's losses are those of one long row."""
    settings = ("data.order=pieces", "run.precision=float32", "model.dropout=0", "run.batch=1")
    halves = Trainer(tiny_config(data, tmp_path / "a", *settings, "optimiser.rate=0"))
    whole = Trainer(
        tiny_config(data, tmp_path / "b", *settings, "data.windows.length=256", "optimiser.rate=0")
    )
    halves.model.load_state_dict(whole.model.state_dict())
    parts = [halves.step() for _ in range(2)]
    one = whole.step()
    assert sum(part[1] for part in parts) == one[1]
    assert sum(part[0] for part in parts) == pytest.approx(one[0], rel=1e-5)


def test_the_effective_config_is_kept_and_is_a_config(data, tmp_path):
    config = tiny_config(data, tmp_path / "run", "run.steps=1", "data.windows.context_bars=[1, 2]")
    Trainer(config).run(lambda figures: None)
    assert read_config(tmp_path / "run" / "config.yaml") == config


def test_a_failed_save_leaves_the_last_checkpoint(data, tmp_path, monkeypatch):
    import rwkv_music_train.checkpoint as module

    trainer = Trainer(tiny_config(data, tmp_path / "run"))
    trainer.step()
    trainer.save()
    trainer.step()

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(CheckpointError, match="disk full"):
        trainer.save()
    assert load_run(trainer.checkpoint).progress.step == 1
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["checkpoint.safetensors"]


def test_a_gradient_that_is_no_number_ends_the_run_and_spoils_nothing(data, tmp_path):
    trainer = Trainer(tiny_config(data, tmp_path / "run"))
    trainer.step()
    trainer.save()
    kept = {name: p.clone() for name, p in trainer.model.named_parameters()}
    trainer.model.blocks[0].ln1.bias.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingError, match=r"step 1: the gradient is nan .*lower optimiser\.rate"):
        trainer.step()
    assert all(torch.equal(p, kept[name]) for name, p in trainer.model.named_parameters())
    assert load_run(trainer.checkpoint).progress.step == 1


def test_a_run_that_crashed_tells_no_step_twice(data, tmp_path):
    def figures():
        return [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]

    settings = ("run.steps=6", "run.log_every=1", "run.save_every=2", "run.validate_every=100")
    crashing = Trainer(tiny_config(data, tmp_path, *settings))

    def crash(told):
        if told["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crashing.run(crash)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    assert Trainer(tiny_config(data, tmp_path, *settings)).run(lambda told: None)
    assert [told["step"] for told in figures() if "loss" in told] == [1, 2, 3, 4, 5, 6]
