"""`key auto`: the key of what was heard; after a memory was loaded, at first that of the memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rwkv_music_daemon.beginning import load_start
from rwkv_music_daemon.config import from_dict
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from rwkv_music_daemon.worker import Worker
from session_stage import events, lift, ms, press

from rwkv_music.engine.numpy_engine import NumpyEngine
from rwkv_music.errors import CheckpointError
from rwkv_music.keys import scale_classes
from rwkv_music.memory import FORMAT, load_memory, save_memory
from rwkv_music.model.config import ModelConfig
from rwkv_music.model.random_weights import random_weights
from rwkv_music.model.rwkv import RwkvMusicModel
from rwkv_music.model.tensor_file import TensorFile, write_tensor_file
from rwkv_music.tokenizer import load_vocabulary

VOCABULARY = load_vocabulary()
TINY = ModelConfig(1, 64, len(VOCABULARY), 8, 8, 8, 8)
WEIGHTS = random_weights(TINY, seed=5)
RWKV = RwkvMusicModel(NumpyEngine(WEIGHTS), VOCABULARY, fingerprint=WEIGHTS.fingerprint)
D_MAJOR, F_SHARP_MAJOR = (62, 66, 69), (66, 70, 73)
D, F_SHARP = scale_classes(2, "major"), scale_classes(6, "major")
BAR_MS = 2000  # at 120
MEMORY = "verse"


def session(folder: Path, **wishes: Any) -> Rehearsal:
    transport = Transport(120.0, None, "internal")
    transport.play(0)
    generation = Generation(**{"bars": 2, "seed": 1, "key": "auto", **wishes})
    return Rehearsal(RWKV, generation, transport, memory_folder=folder)


def chords(r: Rehearsal, pitches: Sequence[int], bars: int) -> None:
    """One a bar, from the next bar line on; then the middle of the bar after them."""
    for _ in range(bars):
        to_next_bar(r)
        for pitch in pitches:
            r.play(press(pitch))
        r.run_until_ns(r.clock.now_ns() + ms(1000))
        for pitch in pitches:
            r.play(lift(pitch))


def to_next_bar(r: Rehearsal) -> None:
    bar = r.transport.bar_at(r.transport.beat_at(r.clock.now_ns()))
    r.run_until_ns(r.transport.ns_at(bar.end_beat) + ms(10))


def answer(r: Rehearsal) -> tuple[set[int], list[str]]:
    """The pitch classes of a completion, and the keys that it was said to keep to."""
    played, told = len(events(r, "/rwkv/note/played")), len(events(r, "/rwkv/key"))
    r.ask("/rwkv/trigger")
    r.run_until_ns(r.clock.now_ns() + ms(4 * BAR_MS))
    classes = {pitch % 12 for _, _, pitch, *_ in events(r, "/rwkv/note/played")[played:]}
    return classes, [key for _, key, _ in events(r, "/rwkv/key")[told:]]


def remembered(folder: Path) -> None:
    """A memory of four bars of D major."""
    r = session(folder)
    chords(r, D_MAJOR, 4)
    to_next_bar(r)
    r.ask("/rwkv/memory/save", MEMORY)
    r.run_until_ns(r.clock.now_ns() + ms(50))
    assert r.replies() == [("/rwkv/memory", (MEMORY,))]


def loaded(folder: Path, **wishes: Any) -> Rehearsal:
    r = session(folder, **wishes)
    r.ask("/rwkv/memory/load", MEMORY)
    r.run_until_ns(r.clock.now_ns() + ms(50))
    assert r.replies() == [("/rwkv/memory", (MEMORY,))]
    return r


def test_it_is_free_and_says_so_until_three_different_notes_were_heard(tmp_path: Path) -> None:
    r = session(tmp_path)
    chords(r, (62, 69), 2)
    classes, told = answer(r)
    assert told == ["none"]
    assert not classes <= D
    r = session(tmp_path)
    chords(r, D_MAJOR, 1)
    classes, told = answer(r)
    assert told == ["D"]
    assert classes <= D


def test_a_key_that_is_given_is_not_told(tmp_path: Path) -> None:
    r = session(tmp_path, key="E")
    chords(r, D_MAJOR, 1)
    assert answer(r)[1] == []


def test_a_loaded_memory_has_its_key_before_anybody_plays(tmp_path: Path) -> None:
    remembered(tmp_path)
    classes, told = answer(loaded(tmp_path))
    assert told == ["D"]
    assert classes <= D


def test_what_is_played_then_soon_tells_more(tmp_path: Path) -> None:
    remembered(tmp_path)
    r = loaded(tmp_path)
    chords(r, F_SHARP_MAJOR, 3)
    classes, told = answer(r)
    assert told == ["F#"]
    assert classes <= F_SHARP


def test_reset_forgets_the_key_too(tmp_path: Path) -> None:
    remembered(tmp_path)
    r = loaded(tmp_path)
    r.ask("/rwkv/reset")
    assert answer(r)[1] == ["none"]


def test_a_memory_of_a_memory_knows_the_same(tmp_path: Path) -> None:
    remembered(tmp_path)
    before = load_memory(tmp_path / f"{MEMORY}.safetensors", RWKV)
    r = loaded(tmp_path)
    r.ask("/rwkv/memory/save", "again")
    r.run_until_ns(r.clock.now_ns() + ms(50))
    again = load_memory(tmp_path / "again.safetensors", RWKV)
    assert any(before.bar_weights)
    assert again.bar_weights == before.bar_weights


def test_a_start_memory_has_its_key_and_so_has_what_is_composed(tmp_path: Path) -> None:
    folder = tmp_path / "memories"
    folder.mkdir()
    remembered(folder)
    config = from_dict({"model": {"memory": MEMORY}, "service": {"data_dir": str(tmp_path)}})
    r = session(tmp_path)
    r.worker = Worker(RWKV, r._answer, load_start(config, RWKV))
    r.ask("/rwkv/compose/begin", "clip", 120.0, 4, 4)
    r.ask("/rwkv/compose/run", "clip", 0, 4, 3)
    r.run_until_ns(r.clock.now_ns() + ms(1000))
    composed = [args for address, args in r.replies() if address == "/rwkv/compose/result"]
    assert {pitch % 12 for _, _, *notes in composed for pitch in notes[1::4]} <= D
    classes, told = answer(r)
    assert told == ["D"]
    assert classes <= D


def test_new_takes_and_a_change_of_scale_tell_the_key_again(tmp_path: Path) -> None:
    remembered(tmp_path)
    r = loaded(tmp_path)
    assert answer(r)[1] == ["D"]
    r.ask("/rwkv/regenerate")
    r.run_until_ns(r.clock.now_ns() + ms(BAR_MS + 500))
    r.ask("/rwkv/set/density", 0.9)  # no news
    r.ask("/rwkv/set/scale", "minor")
    r.run_until_ns(r.clock.now_ns() + ms(2 * BAR_MS))
    assert [scale for _, _, scale in events(r, "/rwkv/key")] == ["major", "major", "minor"]


# --- the file ---


def written(path: Path, facts: str) -> Path:
    metadata = {"format": FORMAT, "model": "m", "fingerprint": RWKV.fingerprint, "facts": facts}
    write_tensor_file(path, RWKV.tensors_of(RWKV.start()), metadata, bfloat16=False)
    return path


def test_a_memory_of_the_older_form_is_loaded_and_knows_no_key(tmp_path: Path) -> None:
    for facts in ("{}", json.dumps({"files": ["a.mid"], "bars": 8})):
        written(tmp_path / f"{MEMORY}.safetensors", facts)
        classes, told = answer(loaded(tmp_path))
        assert told == ["none"]
        assert not classes <= D


@pytest.mark.parametrize(
    "facts",
    [
        "{",
        "[]",
        "7",
        '{"pitch_classes": 1}',
        '{"pitch_classes": [1, 2]}',
        '{"pitch_classes": ["a", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}',
        '{"pitch_classes": [NaN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}',
        '{"pitch_classes": [-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}',
        "[" * 100_000,
    ],
)
def test_facts_that_are_nonsense_are_refused_and_nothing_changes(
    tmp_path: Path, facts: str
) -> None:
    path = written(tmp_path / f"{MEMORY}.safetensors", facts)
    with pytest.raises(CheckpointError, match=r"verse\.safetensors: its fact"):
        load_memory(path, RWKV)
    r = session(tmp_path)
    chords(r, D_MAJOR, 1)
    r.ask("/rwkv/memory/load", MEMORY)
    r.run_until_ns(r.clock.now_ns() + ms(50))
    ((address, args),) = r.replies()
    assert (address, args[0]) == ("/rwkv/error", 406)
    assert answer(r)[1] == ["D"]


def test_the_facts_stand_in_the_file_to_be_read(tmp_path: Path) -> None:
    weights = (0.0, 0.0, 12.0, *[0.0] * 9)
    save_memory(tmp_path / "m.safetensors", RWKV, RWKV.start(), {"bars": 2}, weights)
    facts = json.loads(TensorFile(tmp_path / "m.safetensors").metadata["facts"])
    assert facts == {"bars": 2, "pitch_classes": list(weights)}
