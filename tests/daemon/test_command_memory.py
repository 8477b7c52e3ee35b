"""`memory make` and `memory list`: states to begin from, made of MIDI files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rwkv_music_daemon.cli import cli

from rwkv_music.errors import ConfigError, MidiFileError
from rwkv_music.memory import load_memory
from rwkv_music.midi_files import read_phrase
from rwkv_music.model import load_model
from rwkv_music.music import Phrase
from rwkv_music.session import HeardNote, Session

DEMO = Path(__file__).parents[2] / "daemon" / "data" / "demo.mid"
DRUM_HIT = b"\0\x99\x24\x40\x60\x89\x24\0\0\xff\x2f\0"  # and the end of its track


@pytest.fixture(autouse=True)
def memories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command keeps them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "rwkv-music" / "memories"


def memory(*args: str | Path) -> str:
    """The command's output. Raises what the command raises."""
    words = ["memory", *map(str, args)]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    return result.output


def state_after(phrase: Phrase) -> dict[str, np.ndarray]:
    model = load_model("", "numpy")
    session = Session(model)
    for number, bar in enumerate(phrase):
        notes = map(HeardNote, bar.notes)
        session.hear(number, bar.meter, bar.tempo_bpm, notes, closed=True)
    return model.tensors_of(session.fork())


def test_a_memory_is_the_state_after_the_files(memories: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mid"
    other.write_bytes(DEMO.read_bytes())
    numpy = ("--set", "model.engine=numpy")
    said = memory("make", "two pieces", DEMO, other, "--bars", "2", *numpy)
    assert "4 bars heard by starter (numpy" in said
    model = load_model("", "numpy")
    kept = model.tensors_of(load_memory(memories / "two pieces.safetensors", model).state)
    expected = state_after(read_phrase(DEMO)[:2] * 2)
    assert all(np.array_equal(kept[name], expected[name]) for name in expected)


def test_memories_are_listed_with_what_they_heard(memories: Path) -> None:
    first = memory("list")
    assert f"Yours are kept in {memories}: " in first.splitlines()[-1]
    assert "pop: by starter, tuned on " in first
    memory("make", "demo", DEMO, "--set", "model.engine=scripted")
    (memories / "broken.safetensors").write_bytes(b"no memory")
    (memories / "\u00dc.safetensors").write_bytes(b"a memory of another name")
    listed = memory("list").splitlines()
    assert listed[0].startswith("broken: cannot be read: ")
    assert listed[1].startswith("classical: by starter, tuned on ")
    assert listed[2] == "demo: by scripted (beats), 8 bars of demo.mid"
    assert listed[-2].startswith("not listed: \u00dc.safetensors: name it with letters from a to z")
    assert listed[-1] == first.splitlines()[-1]


def test_a_memory_is_replaced_only_by_force(memories: Path) -> None:
    scripted = ("--set", "model.engine=scripted")
    memory("make", "waltz", DEMO, "--bars", "2", *scripted)
    kept = (memories / "waltz.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"waltz\.safetensors: is there already; --force"):
        memory("make", "waltz", DEMO, *scripted)
    assert (memories / "waltz.safetensors").read_bytes() == kept
    assert "8 bars heard" in memory("make", "waltz", DEMO, "--force", *scripted)


def test_one_that_comes_with_the_model_is_hidden_and_not_replaced(memories: Path) -> None:
    said = memory("make", "pop", DEMO, "--set", "model.engine=scripted")
    assert "comes before the shipped pop, until memory remove pop" in said
    assert "pop: by scripted" in memory("list")
    removed = memory("remove", "pop")
    assert f"{memories / 'pop.safetensors'}: removed" in removed
    assert "pop is the shipped one again" in removed
    assert "pop: by starter" in memory("list")
    with pytest.raises(ConfigError, match="pop: comes with the embedded model"):
        memory("remove", "pop")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "no memory 'gone'; yours are: waltz"),
        ("../waltz", "name: expected letters"),
    ],
)
def test_only_what_is_there_is_removed(memories: Path, name: str, said: str) -> None:
    memory("make", "waltz", DEMO, "--bars", "1", "--set", "model.engine=scripted")
    with pytest.raises(ConfigError, match=said):
        memory("remove", name)
    assert "\npop is" not in memory("remove", "waltz")
    assert not (memories / "waltz.safetensors").exists()


def test_what_cannot_be_heard_leaves_no_memory(memories: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd")
    with pytest.raises(MidiFileError, match=r"broken\.mid"):
        memory("make", "x", DEMO, broken, "--set", "model.engine=scripted")
    with pytest.raises(ConfigError, match=r"model\.engine"):
        memory("make", "x", DEMO, "--set", "model.engine=abacus")
    with pytest.raises(ConfigError, match="name: expected letters"):
        memory("make", "../x", DEMO)
    assert not memories.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match=r"taken.memories: cannot be made"):
        memory("make", "x", DEMO, "--set", f"service.data_dir={tmp_path / 'taken'}")


def test_a_file_that_the_model_cannot_hear_is_told_with_what_it_has(tmp_path: Path) -> None:
    drums = tmp_path / "drums.mid"
    drums.write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x0c" + DRUM_HIT)
    with pytest.raises(MidiFileError, match="no notes to hear; it has 1 note for drums"):
        memory("make", "x", drums)
