"""`rwkv-music-daemon compose`: notes in, their continuation out, as docs/osc.md says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bridge_service import BridgeService, Composer, refusing
from click.testing import CliRunner, Result
from rwkv_music_daemon.cli import cli
from rwkv_music_daemon.commands.compose import ComposeFileError, lines_of, read_notes
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.osc.client import NoAnswerError
from rwkv_music_daemon.osc.composing import ComposedNote, from_its_first_bar

from rwkv_music.errors import RwkvMusicError

VERSE = "0 60 90 1\n1.5 64 80 0.5\n\n4.25 67 1 2\n"


@pytest.fixture
def composer() -> Composer:
    return Composer()


@pytest.fixture
def service(composer: Composer) -> Iterator[BridgeService]:
    service = BridgeService(composer).serve()
    yield service
    service.close()


def compose(service: BridgeService, *args: str, notes: str = VERSE) -> Result:
    port = f"osc.port={service.server.port}"
    return CliRunner().invoke(cli, ["compose", "-", "--set", port, *args], input=notes)


def test_the_continuation_is_printed(service: BridgeService, composer: Composer) -> None:
    result = compose(service, "--tempo", "96", "--meter", "3/4", "--bars", "2", "--seed", "5")
    assert result.exit_code == 0, result.output
    assert composer.begun[-1][1:] == (96.0, 3, 4)
    assert composer.ran[-1][1:] == (3, 2, 5)
    assert result.output == "0 72 90 1\n1.5 76 80 0.5\n4.25 79 1 2\n"


def test_bars_are_the_services(service: BridgeService, composer: Composer) -> None:
    assert compose(service).exit_code == 0
    assert composer.ran[-1][2] == 4


def test_what_is_lost_is_sent_again(service: BridgeService, composer: Composer) -> None:
    composer._lose |= {("notes", 2), ("result", 0)}
    notes = "".join(f"{step / 4} 60 90 0.25\n" for step in range(32 * 6))
    result = compose(service, "--bars", "6", notes=notes)
    assert len(result.output.splitlines()) == 96
    assert [seed for *_, seed in composer.ran] == [None, None, 7]


def test_the_outcome_is_a_file(service: BridgeService, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    assert compose(service, "-o", str(out)).exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("0 72 90 1\n")
    assert list(tmp_path.iterdir()) == [out]


def test_an_error_is_an_outcome_too(tmp_path: Path) -> None:
    service = BridgeService(refusing).serve()
    out = tmp_path / "out.txt"
    assert compose(service, "-o", str(out)).exit_code == 1
    assert out.read_text(encoding="utf-8") == "error: not yet: a later version does this\n"
    result = compose(service)
    service.close()
    assert isinstance(result.exception, OscError)
    assert result.exception.code == 406


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--seed", "99999999999"), "99999999999 is not in the range -1<=x<=2147483647"),
        (("--tempo", "1e300"), "1e+300: expected a number from"),
        (("--meter", "4"), "4"),
        (("--timeout", "nan"), "nan"),
        (("--bars", "65"), "65 is not in the range"),
    ],
)
def test_who_asks_for_what_cannot_be_is_told_in_the_file(
    service: BridgeService, tmp_path: Path, args: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "out.txt"
    assert compose(service, *args, "-o", str(out)).exit_code != 0
    told = out.read_text(encoding="utf-8")
    assert told.startswith("error: ")
    assert said in told


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    gone = BridgeService()
    gone.close()
    arguments = ["compose", "-", "--set", f"osc.port={gone.server.port}"]
    result = CliRunner().invoke(cli, arguments, input=VERSE)
    assert isinstance(result.exception, NoAnswerError)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0 60 90", "line 1: expected a line for each note"),
        ("0 60 90 1\nx 60 90 1", "line 2: expected"),
        ("0 128 90 1", "line 1: pitch: expected a whole number from 0 to 127, got 128"),
        (f"0 {'9' * 400} 90 1", "line 1: pitch: expected a whole number from 0 to 127, got 9999"),
        ("0 60 0 1", "velocity: expected a whole number from 1 to 127, got 0"),
        ("-1 60 90 1", "beat: expected a number from 0 to 20000, got -1"),
        ("1e300 60 90 1", r"line 1: beat: expected a number from 0 to 20000, got 1e\+300"),
        ("0 60 90 inf", "beats: expected a number from 0, got inf"),
        ("nan 60 90 1", "beat: expected a number from 0 to 20000, got nan"),
    ],
)
def test_notes_that_cannot_be_read_say_where(text: str, complaint: str) -> None:
    with pytest.raises(ComposeFileError, match=complaint):
        read_notes(text)


def test_a_file_that_is_not_there_is_an_error_of_ours() -> None:
    result = CliRunner().invoke(cli, ["compose", "/nowhere/at.all"])
    assert isinstance(result.exception, RwkvMusicError)


def test_notes_come_back_as_they_were_written() -> None:
    notes = read_notes(VERSE)
    assert read_notes("\n".join(lines_of(notes))) == sorted(notes)


def test_a_result_begins_with_its_first_bar_wherever_it_is_counted_from() -> None:
    notes = [ComposedNote(17.5, 60, 90, 1.0), ComposedNote(16.25, 64, 90, 1.0)]
    assert [n.beat for n in from_its_first_bar(notes, 4.0)] == [1.5, 0.25]
    assert from_its_first_bar([], 4.0) == []
