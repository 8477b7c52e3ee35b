"""Named memories: saved, loaded, listed, refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from performances import fresh_state
from rwkv_music_daemon.config import load_config
from rwkv_music_daemon.memories import Memories, shipped_memories, start_memory
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from rwkv_music_daemon.worker import Worker
from session_stage import events, heard_bars, lift, ms, play_note, press

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import ConfigError
from rwkv_music.memory import load_memory, save_memory
from rwkv_music.model import load_model
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Note
from rwkv_music.session import HeardNote, Session, Start
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)


def rwkv(seed: int) -> RwkvMusicModel:
    weights = random_weights(TINY, seed)
    return RwkvMusicModel(NumpyEngine(weights), VOCABULARY, fingerprint=weights.fingerprint)


def rehearsal(folder: Path, model: Any = None) -> Rehearsal:
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    return Rehearsal(model or ScriptedModel(), None, transport, memory_folder=folder)


def ask(r: Rehearsal, address: str, *args: str) -> tuple[str, tuple[Any, ...]]:
    r.ask(address, *args)
    r.run_until_ns(r.clock.now_ns() + ms(20))
    (answer,) = r.replies()
    return answer


@pytest.mark.parametrize("model", [ScriptedModel(), rwkv(1)], ids=["scripted", "rwkv"])
def test_a_loaded_memory_is_the_state_that_was_saved(tmp_path: Path, model: Any) -> None:
    r = rehearsal(tmp_path, model)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    saved = r.worker.session.fork()
    assert ask(r, "/rwkv/memory/save", "one bar") == ("/rwkv/memory", ("one bar",))
    play_note(r, 2600, 72, 300)
    r.run_until_ns(ms(4500))
    assert ask(r, "/rwkv/memory/load", "one bar") == ("/rwkv/memory", ("one bar",))
    loaded = r.worker.session.fork()
    tensors, expected = model.tensors_of(loaded), model.tensors_of(saved)
    assert all(np.array_equal(tensors[name], expected[name]) for name in expected)
    assert list(r.conductor.assembler.bars) == []


def test_what_is_played_while_a_memory_loads_belongs_to_what_is_forgotten(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    saved = r.worker.session.fork()
    ask(r, "/rwkv/memory/save", "one bar")
    r._worker_ns = ms(60)
    r.ask("/rwkv/memory/load", "one bar")
    r.play(press(64), ms(2560))
    r.run_until_ns(ms(2800))
    assert r.replies() == [("/rwkv/memory", ("one bar",))]
    r.play(lift(64), ms(2900))
    r.run_until_ns(ms(3500))
    assert r.worker.session.fork() == saved
    assert list(r.conductor.assembler.bars) == []
    play_note(r, 3600, 65, 300)
    r.run_until_ns(ms(3990))
    fresh = Session(ScriptedModel(), Start(saved))
    (bar,) = r.conductor.assembler.bars
    heard = [HeardNote(Note(n.onset, n.pitch, n.velocity, n.duration)) for n in bar.notes]
    fresh.hear(bar.serial, bar.meter, bar.tempo_bpm, heard, closed=False)
    assert r.worker.session.fork() == fresh.fork()


def test_a_reset_while_a_memory_loads_comes_after_it(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    ask(r, "/rwkv/memory/save", "one bar")
    r._worker_ns = ms(60)
    r.ask("/rwkv/memory/load", "one bar")
    r.ask("/rwkv/reset")
    play_note(r, 2540, 64, 10)
    r.run_until_ns(ms(2800))
    assert r.replies() == [("/rwkv/memory", ("one bar",))]
    play_note(r, 2900, 65, 300)
    r.run_until_ns(ms(4500))
    assert [n[1] for bar in heard_bars(r) for n in bar] == [64, 65]
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())
    restart(r, ScriptedModel())
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


@pytest.mark.parametrize("late_ms", [0, 100, 1400, 1470])  # the next line is 1,500 ms away
@pytest.mark.parametrize("order", ["load, trigger", "trigger, load"])
def test_what_is_armed_while_a_memory_loads_is_played_from_the_memory(
    tmp_path: Path, order: str, late_ms: float
) -> None:
    """Asked for before or after: it is not lost, and it is asked for anew."""
    r = rehearsal(tmp_path)
    ask(r, "/rwkv/memory/save", "nothing")
    r._worker_ns = ms(2)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500 + late_ms))
    for word in order.split(", "):
        r.ask(*(["/rwkv/memory/load", "nothing"] if word == "load" else ["/rwkv/trigger", 1]))
    r.run_until_ns(ms(9000))
    answers = dict(r.replies())
    request, _ = answers["/rwkv/accepted"]
    assert answers["/rwkv/memory"] == ("nothing",)
    (done,) = events(r, "/rwkv/done")
    assert (done[0], done[2]) == (request, 4)
    assert next(beat for _, beat, *_ in events(r, "/rwkv/note/played")) in (8.0, 12.0)
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel())


def test_a_take_that_is_armed_is_gone_with_what_was_offered(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    ask(r, "/rwkv/memory/save", "nothing")
    r.ask("/rwkv/trigger", 1, 2)
    r.run_until_ns(ms(5000))
    r.ask("/rwkv/take/next")
    assert r.conductor.state == "armed"
    r.ask("/rwkv/memory/load", "nothing")
    r.run_until_ns(ms(5100))
    assert r.conductor.state == "listening"


def restart(r: Rehearsal, model: Any) -> None:
    """The worker dies, and another one comes."""
    r.conductor.worker_down(r.clock.now_ns())
    r.aside.worker_lost()
    r.worker = Worker(model, r._answer)
    r.conductor.worker_up(model.name)
    r.run_until_ns(r.clock.now_ns() + ms(20))


def test_a_worker_that_is_started_again_begins_from_the_memory_that_was_loaded(
    tmp_path: Path,
) -> None:
    r = rehearsal(tmp_path)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    ask(r, "/rwkv/memory/save", "one bar")
    ask(r, "/rwkv/memory/load", "one bar")
    play_note(r, 2600, 72, 300)
    r.run_until_ns(ms(4500))
    before = r.worker.session.fork()
    assert before.tokens > 10
    restart(r, ScriptedModel())
    assert r.worker.session.fork() == before
    assert r.replies() == []
    r.ask("/rwkv/reset")
    restart(r, ScriptedModel())
    assert r.worker.session.fork() == ScriptedModel().start()


def test_a_worker_that_is_started_again_hears_no_bar_twice_that_was_saved_in_that_memory(
    tmp_path: Path,
) -> None:
    r = rehearsal(tmp_path)
    ask(r, "/rwkv/memory/save", "verse")
    ask(r, "/rwkv/memory/load", "verse")
    for at_ms in (100, 2100):
        play_note(r, at_ms, 60, 300)
    r.run_until_ns(ms(4500))
    ask(r, "/rwkv/memory/save", "verse")
    ask(r, "/rwkv/memory/save", "another")
    for at_ms in (4600, 6100):
        play_note(r, at_ms, 62, 300)
    r.run_until_ns(ms(8500))
    before = r.worker.session.fork()
    restart(r, ScriptedModel())
    assert r.worker.session.fork() == before
    restart(r, ScriptedModel("steps"))  # which cannot begin from it
    assert r.worker.session.fork() == fresh_state(r, ScriptedModel("steps"))


def test_another_model_cannot_begin_from_it_and_that_is_told(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    ask(r, "/rwkv/memory/save", "one bar")
    ask(r, "/rwkv/memory/load", "one bar")
    play_note(r, 2600, 72, 300)
    r.run_until_ns(ms(4500))
    restart(r, ScriptedModel("steps"))
    ((code, text, address),) = [args for _, name, args in r.events if name == "/rwkv/error"]
    assert (code, address) == (406, "/rwkv/memory/load")
    assert "'one bar'" in text
    assert "cannot understand" in text
    assert len(r.conductor.assembler.bars) > 0
    restart(r, ScriptedModel("steps"))
    assert len([name for _, name, _ in r.events if name == "/rwkv/error"]) == 1


def test_memories_are_listed_by_name(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    assert ask(r, "/rwkv/memory/list") == ("/rwkv/memory", ())
    for name in ("b", "a"):
        ask(r, "/rwkv/memory/save", name)
    assert ask(r, "/rwkv/memory/list") == ("/rwkv/memory", ("a", "b"))


def test_the_memories_of_the_package_are_of_its_model() -> None:
    """When the model is replaced, they are made again: make model-card."""
    model = load_model("", "numpy")
    memories = Memories(Path("nowhere"), shipped_memories())
    assert memories.names() == ("classical", "pop", "song")
    assert memories.own_names() == ()
    starts = [load_memory(memories.find(name) or Path(), model) for name in memories.names()]
    fresh = model.tensors_of(model.start())["state"]
    states = [model.tensors_of(start.state)["state"] for start in (*starts, Start(model.start()))]
    assert not any(any(start.bar_weights) for start in starts)  # a manner is in no key
    assert all(np.isfinite(state).all() for state in states)
    assert [np.array_equal(state, fresh) for state in states] == [False, False, False, True]


def test_a_memory_of_ones_own_comes_before_one_of_the_package(tmp_path: Path) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    for folder, names in ((own, ("b", "c")), (shipped, ("a", "b"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.safetensors").touch()
    memories = Memories(own, shipped)
    assert memories.names() == ("a", "b", "c")
    assert memories.find("a") == shipped / "a.safetensors"
    assert memories.find("b") == own / "b.safetensors"
    assert memories.find("x") is None
    assert memories.path("a") == own / "a.safetensors"  # where it is saved: never in the package
    with pytest.raises(OscError, match="expected letters"):
        memories.find("../b")


@pytest.mark.parametrize("name", ["\u00dc", "waltz (copy)"])
def test_a_file_with_a_name_that_none_can_ask_for_is_no_memory(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "memories"
    folder.mkdir()
    (folder / f"{name}.safetensors").touch()
    (folder / "waltz.safetensors").touch()
    memories = Memories(folder)
    assert memories.names() == memories.own_names() == ("waltz",)
    assert memories.misnamed() == (f"{name}.safetensors",)
    config = load_config(None, [f"service.data_dir={tmp_path}", f"model.memory={name}"])
    with pytest.raises(ConfigError, match=r"model\.memory: name: expected letters"):
        start_memory(config)


def test_a_memory_that_there_is_not_is_404_and_nothing_is_forgotten(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    before = r.worker.session.fork()
    address, args = ask(r, "/rwkv/memory/load", "gone")
    assert (address, args[0]) == ("/rwkv/error", 404)
    assert r.worker.session.fork() == before


@pytest.mark.parametrize("name", ["", "../up", "a/b", "x" * 65, "a\\b", "\u00e4"])
def test_a_name_that_no_file_should_have_is_422(tmp_path: Path, name: str) -> None:
    assert ask(rehearsal(tmp_path), "/rwkv/memory/save", name)[1][0] == 422


def test_a_memory_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_memory(path, rwkv(1), rwkv(1).start())
    r = rehearsal(tmp_path, rwkv(2))
    play_note(r, 100, 60, 300)
    r.run_until_ns(ms(2500))
    before = r.worker.session.fork()
    address, args = ask(r, "/rwkv/memory/load", "other")
    assert (address, args[0]) == ("/rwkv/error", 406)
    assert "cannot understand" in args[1]
    assert np.array_equal(r.worker.session.fork().engine, before.engine)
    assert r.conductor.assembler.bars[0].notes


def test_a_damaged_memory_is_refused(tmp_path: Path) -> None:
    model = rwkv(1)
    path = tmp_path / "damaged.safetensors"
    save_memory(path, model, model.start())
    path.write_bytes(path.read_bytes()[:-100])
    assert ask(rehearsal(tmp_path, model), "/rwkv/memory/load", "damaged")[1][0] == 406


def test_the_file_keeps_every_bit(tmp_path: Path) -> None:
    model = rwkv(3)
    state = model.start()
    state.engine[:] = np.random.default_rng(0).standard_normal(len(state.engine))
    save_memory(tmp_path / "m.safetensors", model, state)
    again = load_memory(tmp_path / "m.safetensors", model).state
    assert np.array_equal(again.engine, state.engine)
    assert np.array_equal(again.logits, state.logits)


def test_who_waits_for_a_memory_is_told_that_the_worker_died(tmp_path: Path) -> None:
    r = rehearsal(tmp_path)
    r.ask("/rwkv/memory/save", "verse")
    r.aside.worker_lost()
    ((address, args),) = r.replies()
    assert (address, args[0], args[2]) == ("/rwkv/error", 500, "/rwkv/memory/save")


@pytest.mark.parametrize("deed", ["save", "load"])
def test_a_folder_that_the_system_refuses_is_500_and_the_music_goes_on(
    tmp_path: Path, deed: str
) -> None:
    r = rehearsal(tmp_path / ("x" * 300))
    address, args = ask(r, f"/rwkv/memory/{deed}", "verse")
    assert (address, args[0], args[2]) == ("/rwkv/error", 500, f"/rwkv/memory/{deed}")
    assert "too long" in args[1]
    assert r.transport.playing
