"""Continuing the selected item of REAPER: what is read, what is written, what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bridge_service import BridgeService, Composer, refusing
from reaper_bridge import Reaper, kinds, needs_lua


def an_item(**changes: Any) -> dict[str, Any]:
    """Two bars from beat 8 on, with a note that is muted and one on the drums' channel."""
    notes = [
        {"beat": 0.0, "beats": 1.0, "pitch": 60, "velocity": 90},
        {"beat": 1.5, "beats": 0.5, "pitch": 64, "velocity": 80},
        {"beat": 4.25, "beats": 2.0, "pitch": 67, "velocity": 1},
        {"beat": 5.0, "beats": 1.0, "pitch": 40, "velocity": 90, "muted": True},
        {"beat": 5.0, "beats": 1.0, "pitch": 36, "velocity": 90, "channel": 9},
        {"beat": 9.0, "beats": 1.0, "pitch": 70, "velocity": 90},  # behind the item's end
    ]
    return {"first_beat": 8.0, "last_beat": 16.0, "selected": True, "notes": notes, **changes}


@needs_lua
def test_the_selected_item_is_continued(make_reaper: Callable[..., Reaper]) -> None:
    composer = Composer()
    reaper = make_reaper(BridgeService(composer))
    happened = reaper.run("rwkv_continue_item.lua", tempo=96.0, items=[an_item()])
    assert kinds(happened, "box") == []
    assert composer.begun[-1][1:] == (pytest.approx(96.0), 4, 4)
    assert composer.context == [(0.0, 60, 90, 1.0), (1.5, 64, 80, 0.5), (4.25, 67, 1, 2.0)]
    assert composer.ran[-1][2] == 4
    order = [line[0] for line in happened if line[0] not in ("run", "tooltip")]
    assert order == ["undo begins", "item", *["note"] * 3, "sorted", "take", "undo ends"]
    assert kinds(happened, "item") == [["track 1", "16.0000", "32.0000"]]
    assert kinds(happened, "note") == [
        ["0.0000", "72", "90", "1.0000"],
        ["1.5000", "76", "80", "0.5000"],
        ["4.2500", "79", "1", "2.0000"],
    ]
    assert list((reaper.folder / "Data" / "RWKV Music").iterdir()) == []


@needs_lua
def test_the_services_own_continuation_is_written(make_reaper: Callable[..., Reaper]) -> None:
    happened = make_reaper(BridgeService()).run("rwkv_continue_item.lua", items=[an_item()])
    assert kinds(happened, "box") == []
    assert kinds(happened, "item") == [["track 1", "16.0000", "32.0000"]]
    assert [float(note[0]) for note in kinds(happened, "note")] == list(range(16))


@needs_lua
def test_a_looped_item_is_continued_as_it_sounds(make_reaper: Callable[..., Reaper]) -> None:
    """Its source lasts three quarters and is begun within; what hangs over its end is cut there."""
    composer = Composer()
    notes = [
        {"beat": 0.0, "beats": 1.0, "pitch": 60, "velocity": 90},
        {"beat": 2.5, "beats": 1.0, "pitch": 64, "velocity": 80},
        {"beat": 3.0, "beats": 1.0, "pitch": 70, "velocity": 80},  # behind the source's end
    ]
    item = an_item(source_beats=3.0, offset=2.0, notes=notes)
    happened = make_reaper(BridgeService(composer)).run("rwkv_continue_item.lua", items=[item])
    assert kinds(happened, "box") == []
    first = [(1.0 + k, 60, 90, 1.0) for k in (0, 3, 6)]
    second = [(0.5 + k, 64, 80, 0.5) for k in (0, 3, 6)]
    assert composer.context == sorted(first + second)


@needs_lua
def test_an_item_off_the_bar_lines_is_continued_on_one(make_reaper: Callable[..., Reaper]) -> None:
    composer = Composer(from_zero=True)
    reaper = make_reaper(BridgeService(composer))
    item = an_item(first_beat=7.0, last_beat=13.5)
    happened = reaper.run("rwkv_continue_item.lua", numerator=6, denominator=8, items=[item])
    assert composer.context[0] == (1.0, 60, 90, 1.0)  # from the bar line at 6 on
    assert composer.begun[-1][2:] == (6, 8)
    assert kinds(happened, "item") == [["track 1", "15.0000", "27.0000"]]
    assert kinds(happened, "note")[0][0] == "1.0000"


@needs_lua
def test_a_service_that_does_not_compose_yet_is_quoted(make_reaper: Callable[..., Reaper]) -> None:
    happened = make_reaper(BridgeService(refusing)).run("rwkv_continue_item.lua", items=[an_item()])
    assert kinds(happened, "box") == [["RWKV Music", "not yet: a later version does this"]]
    assert not kinds(happened, "item", "undo begins")


@needs_lua
def test_an_outcome_that_never_comes_is_given_up(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "/rwkv/param/bars 4")
    happened = reaper.run("rwkv_continue_item.lua", items=[an_item()], defer_s=10.0)
    assert kinds(happened, "box") == [["RWKV Music", "no answer within 90 s"]]


@needs_lua
@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([], "select a MIDI item first"),
        ([an_item(notes=None)], "select a MIDI item first"),
        ([an_item(notes=[])], "there are no notes in the selected item"),
    ],
)
def test_an_item_that_cannot_be_continued_says_why(
    items: list[Any], reason: str, make_reaper: Callable[..., Reaper]
) -> None:
    happened = make_reaper(None).run("rwkv_continue_item.lua", items=items)
    assert kinds(happened, "box") == [["RWKV Music", reason]]


@needs_lua
def test_an_item_that_reaper_refuses_leaves_no_open_undo_block(
    make_reaper: Callable[..., Reaper],
) -> None:
    reaper = make_reaper(BridgeService(Composer()))
    happened = reaper.run("rwkv_continue_item.lua", items=[an_item()], read_only=True)
    assert "no item can be made here" in kinds(happened, "box")[0][1]
    assert kinds(happened, "undo ends")
