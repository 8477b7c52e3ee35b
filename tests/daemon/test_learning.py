"""Commands that learn their messages: told, called off, over in time, listed, forgotten, kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rwkv_music_daemon.learned_file import LearnedFile
from rwkv_music_daemon.learning import LEARNING_S, Learning
from rwkv_music_daemon.midi_map import MidiTrigger
from session_stage import events, lift, ms, onsets_ms, press, rehearsal

PEDAL, PEDAL_UP = b"\xb0\x40\x7f", b"\xb0\x40\x00"
PAD = b"\x99\x24\x70"


def configured(**texts: str) -> dict[str, MidiTrigger]:
    return {command: MidiTrigger.parse(text) for command, text in texts.items()}


class Lesson:
    """What was learned in a folder with a configuration, and the events of it."""

    def __init__(self, folder: Path, **texts: str) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.file = LearnedFile(folder, configured(**texts))
        self.learning = Learning(
            configured(**texts), lambda *event: self.events.append(event), self.file
        )

    def learn(self, command: str, message: bytes, now_ns: int = 0) -> None:
        list(self.learning.begin(now_ns, command))
        assert self.learning.take(message, now_ns)

    def entries(self) -> dict[str, tuple[str, str]]:
        *told, done = self.learning.entries(0)
        assert done == ("/rwkv/learn/done", len(told))
        return {command: (message, source) for _, command, message, source in told}


def only(answers: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    (answer,) = answers
    return answer


def test_learning_answers_and_tells_what_was_learned(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    assert only(lesson.learning.begin(0, "trigger")) == ("/rwkv/learning", "trigger", LEARNING_S)
    assert lesson.learning.take(PEDAL, 1)
    assert lesson.events == [
        ("/rwkv/learning", "trigger", LEARNING_S),
        ("/rwkv/learned", "trigger", "cc 64 ch 1", "learned"),
        ("/rwkv/learning", "", 0),
    ]
    assert not lesson.learning.take(PEDAL, 2)
    assert lesson.learning.map.feed(PEDAL_UP) == (True, None)
    assert lesson.learning.map.feed(PEDAL) == (True, "trigger")


def test_learning_can_be_called_off(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    list(lesson.learning.begin(0, "trigger"))
    assert only(lesson.learning.begin(1)) == ("/rwkv/learning", "", 0)
    assert not lesson.learning.take(PEDAL, 2)
    assert not lesson.file.path.exists()


def test_a_press_that_comes_too_late_is_music(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path)
    list(lesson.learning.begin(0, "trigger"))
    assert not lesson.learning.take(PEDAL, LEARNING_S * 10**9)
    assert lesson.events[-1] == ("/rwkv/learning", "", 0)
    assert lesson.entries() == {}


def test_a_forgotten_learn_takes_no_note_from_the_player() -> None:
    r = rehearsal(thru=1)
    r.ask("/rwkv/learn", "panic")
    assert r.replies() == [("/rwkv/learning", ("panic", LEARNING_S))]
    r.run_until_ns(ms(1000 * LEARNING_S))
    assert events(r, "/rwkv/learning")[-1] == ("", 0)  # without anything coming in
    r.control.midi(r.clock.now_ns(), press(60))
    r.control.midi(r.clock.now_ns(), lift(60))
    r.step()
    assert len(onsets_ms(r)) == 1


def test_what_is_learned_is_listed_and_can_be_forgotten(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path, stop="cc 20", panic="note 21")
    lesson.learn("stop", PEDAL)
    assert lesson.entries() == {
        "stop": ("cc 64 ch 1", "learned"),
        "panic": ("note 21", "configured"),
    }
    assert only(lesson.learning.unlearn(0, "stop")) == (
        "/rwkv/learned",
        "stop",
        "cc 20",
        "configured",
    )
    assert lesson.events[-1] == ("/rwkv/learned", "stop", "cc 20", "configured")
    assert lesson.learning.map.feed(PEDAL) == (False, None)
    assert only(lesson.learning.unlearn(0, "undo")) == ("/rwkv/learned", "undo", "", "")
    assert Lesson(tmp_path, stop="cc 20").file.read() == {}


def test_only_what_was_learned_is_kept(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path, panic="note 21")
    lesson.learn("trigger", PEDAL)
    lesson.learn("stop", PAD)
    assert json.loads(lesson.file.path.read_text())["learned"] == {
        "trigger": "cc 64 ch 1",
        "stop": "note 36 ch 10",
    }
    again = Lesson(tmp_path, panic="note 21")
    assert again.entries() == lesson.entries()


def test_the_next_start_does_what_this_one_did(tmp_path: Path) -> None:
    """A learned message takes a configured one from its command, then and now."""
    now = Lesson(tmp_path, stop="cc 64", panic="note 21")
    now.learn("trigger", PEDAL)
    later = Lesson(tmp_path, stop="cc 64", panic="note 21")
    for lesson in (now, later):
        assert lesson.learning.map.feed(PEDAL_UP) == (True, None)
        assert lesson.learning.map.feed(PEDAL) == (True, "trigger")
        assert "stop" not in lesson.entries()


def test_a_message_belongs_to_the_command_that_learned_it_last(tmp_path: Path) -> None:
    lesson = Lesson(tmp_path, trigger="note 30")
    lesson.learn("trigger", PEDAL)
    lesson.learn("stop", PEDAL)
    for one in (lesson, Lesson(tmp_path, trigger="note 30")):
        assert one.entries() == {
            "trigger": ("note 30", "configured"),
            "stop": ("cc 64 ch 1", "learned"),
        }


def test_a_configuration_that_changed_since_counts_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Lesson(tmp_path, panic="note 21").learn("panic", PEDAL)
    assert Lesson(tmp_path, panic="note 23").entries() == {"panic": ("note 23", "configured")}
    assert "midi.triggers has changed since" in caplog.text
    # Nor does another command lose the message that it was given since.
    taken = Lesson(tmp_path, panic="note 21", stop="cc 64").entries()
    assert taken == {"stop": ("cc 64", "configured"), "panic": ("note 21", "configured")}
    # As it was, it counts again, until something else is learned.
    assert Lesson(tmp_path, panic="note 21").entries() == {"panic": ("cc 64 ch 1", "learned")}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"trigger": "cc 64"}', '{"learned": {"x": 5}, "configured": {}}', "\xff"],
)
def test_a_damaged_file_is_ignored_and_told(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "learned.json").write_bytes(text.encode("latin-1"))
    assert Lesson(tmp_path).entries() == {}
    assert "ignored" in caplog.text


def test_a_folder_that_cannot_be_written_loses_nothing_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    lesson = Lesson(tmp_path / "file")
    lesson.learn("trigger", PEDAL)
    assert lesson.entries() == {"trigger": ("cc 64 ch 1", "learned")}
    assert "cannot be written" in caplog.text
