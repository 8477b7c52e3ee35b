from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from rwkv_music_daemon.cli import cli

from rwkv_music.errors import ConfigError, MidiFileError
from rwkv_music.memory import save_memory
from rwkv_music.midi_files import read_phrase
from rwkv_music.model.scripted import ScriptedModel, ScriptedState
from rwkv_music.music import Meter

DEMO = Path(__file__).parents[2] / "daemon" / "data" / "demo.mid"


@pytest.fixture(autouse=True)
def _no_configuration_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def complete(*args: str | Path) -> str:
    """The command's output, on the scripted model. Raises what the command raises."""
    words = ["complete", "--set", "model.engine=scripted", *map(str, args)]
    return CliRunner().invoke(cli, words, catch_exceptions=False).output


def test_it_continues_a_file_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    said = complete(DEMO, "-o", out, "--bars", "3", "--seed", "11")
    assert f"{out}: 3 bars with 12 notes after bar 8, seed 11, model scripted (beats)" in said
    phrase = read_phrase(out)
    assert len(phrase) == 11
    assert phrase[:8] == read_phrase(DEMO)
    assert [note.pitch for note in phrase[10].notes] == [60, 61, 62, 63]


def test_without_a_name_the_result_lies_beside_the_input(tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    song.write_bytes(DEMO.read_bytes())
    complete(song, "--bars", "1")
    assert len(read_phrase(tmp_path / "song-continued.mid")) == 9
    assert song.read_bytes() == DEMO.read_bytes()


def test_it_draws_what_it_made(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra 'plot'")
    png = tmp_path / "out.png"
    complete(DEMO, "-o", tmp_path / "out.mid", "--png", png)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_neither_output_may_be_the_input(tmp_path: Path) -> None:
    song = tmp_path / "song.mid"
    song.write_bytes(DEMO.read_bytes())
    for args in (("-o", song), ("-o", tmp_path / "out.mid", "--png", song)):
        with pytest.raises(MidiFileError, match="would overwrite the input"):
            complete(song, *args)
    assert song.read_bytes() == DEMO.read_bytes()
    assert not (tmp_path / "out.mid").exists()


def test_a_wrong_number_is_an_error_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"top_p: expected a number from 0\.05 to 1, got 7"):
        complete(DEMO, "-o", tmp_path / "out.mid", "--top-p", "7")


def test_a_malformed_file_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mid"
    bad.write_bytes(b"MThd, or so they said")
    with pytest.raises(MidiFileError, match=r"bad\.mid: "):
        complete(bad)


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    out.write_text("mine")
    with pytest.raises(MidiFileError, match="--force"):
        complete(DEMO, "-o", out)
    assert out.read_text() == "mine"
    complete(DEMO, "-o", out, "--bars", "1", "--force")
    assert len(read_phrase(out)) == 9


def test_a_picture_does_not_take_the_place_of_the_music(tmp_path: Path) -> None:
    out = tmp_path / "out.mid"
    assert "the same file" in complete(DEMO, "-o", out, "--png", out)
    assert not out.exists()


def test_a_file_without_music_for_a_piano_is_told_with_what_it_has(tmp_path: Path) -> None:
    drums = tmp_path / "drums.mid"
    hit = b"\0\x99\x24\x40\x60\x89\x24\0\0\xff\x2f\0"
    drums.write_bytes(b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\0\0\x0c" + hit)
    with pytest.raises(MidiFileError, match="no notes to continue; it has 1 note for drums"):
        complete(drums)


def test_help_has_an_example() -> None:
    said = CliRunner().invoke(cli, ["complete", "--help"]).output
    assert "Example: rwkv-music-daemon complete" in said


def test_it_hears_the_last_bars_only_where_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    open_bar = ScriptedModel.open_bar

    def listen(model: ScriptedModel, state: ScriptedState, meter: Meter, tempo: float) -> None:
        heard.append(str(meter))
        open_bar(model, state, meter, tempo)

    monkeypatch.setattr(ScriptedModel, "open_bar", listen)
    for words, bars in [((), 8), (("--context-bars", "3"), 3), (("--context-bars", "99"), 8)]:
        heard.clear()
        out = tmp_path / f"{len(words)}{bars}.mid"
        said = complete(DEMO, "-o", out, "--bars", "2", *words)
        assert "2 bars with 8 notes after bar 8" in said
        assert len(heard) == bars + 2
        assert read_phrase(out)[:8] == read_phrase(DEMO)
    assert "0 is not in the range" in complete(DEMO, "--context-bars", "0")


def test_it_begins_in_the_memory_that_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[ScriptedState] = []
    fork = ScriptedModel.fork

    def watch(model: ScriptedModel, state: ScriptedState) -> ScriptedState:
        begun.append(fork(model, state))
        return fork(model, state)

    model, verse = ScriptedModel(), ScriptedState()
    model.open_bar(verse, Meter(), 120.0)
    (tmp_path / "memories").mkdir()
    save_memory(tmp_path / "memories" / "verse.safetensors", model, verse)
    settings = ["--set", f"service.data_dir={tmp_path}", "--set", "model.memory=verse"]
    monkeypatch.setattr(ScriptedModel, "fork", watch)
    complete(DEMO, "-o", tmp_path / "out.mid", "--bars", "1", *settings)
    assert begun[0] == verse
    begun.clear()
    complete(DEMO, "-o", tmp_path / "other.mid", "--bars", "1", *settings, "--model", "steps")
    assert begun[0] == ScriptedState()  # which is another model
    with pytest.raises(ConfigError, match=r"there is no memory 'chorus'; there are: .*verse"):
        complete(DEMO, "-o", tmp_path / "no.mid", *settings[:2], "--set", "model.memory=chorus")
