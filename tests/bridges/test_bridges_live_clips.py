"""Continuing the selected clip of Live: what is read, what is written, what goes wrong."""

from __future__ import annotations

from pathlib import Path

import fake_live
import pytest
from bridge_service import BridgeService, Composer, refusing
from fake_live import MidiNoteSpecification
from live_surface import TICK_NS, Stage

VERSE = ((0.0, 60, 90, 1.0), (1.5, 64, 80, 0.5), (4.25, 67, 70, 2.0), (4.25, 72, 1, 0.25))


def test_the_selected_clip_is_continued(connected: Stage, composer: Composer) -> None:
    slot = connected.select(*VERSE)
    connected.song.tracks[0].clip_slots[1].create_clip(1)  # taken: the third is the next free
    connected.song.change(tempo=88.0)
    connected.press("clip")
    connected.run(4 * TICK_NS)
    assert composer.begun[-1][1:] == (88.0, 4, 4)
    assert composer.context == list(VERSE)
    assert composer.ran[-1][1:] == (4, 4, None)
    clip = connected.song.tracks[0].clip_slots[2].clip
    written = [(n.start_time, n.pitch, n.velocity, n.duration) for n in clip.notes]
    assert written == [(b, pitch + 12, float(v), d) for b, pitch, v, d in VERSE]
    assert clip.length == 16
    assert clip.name == "verse RWKV"
    assert slot.clip.length == 8
    assert connected.song.undo_steps == ["begin", "end"]
    assert connected.host.shown[-1] == "RWKV Music: 4 notes written behind verse"


def test_the_services_own_continuation_is_written(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BridgeService())
    stage.run(3 * TICK_NS)
    stage.select(*VERSE)
    stage.press("clip")
    stage.run(10 * TICK_NS)
    clip = stage.song.tracks[0].clip_slots[1].clip
    assert clip.length == 16
    assert [note.start_time for note in clip.notes] == [float(beat) for beat in range(16)]
    assert stage.host.log == []
    stage.close()


def test_only_what_sounds_is_sent_counted_from_the_loop(
    connected: Stage, composer: Composer
) -> None:
    slot = connected.select((0.0, 50, 90, 1.0), *[(b + 4, *rest) for b, *rest in VERSE], bars=3)
    slot.clip.loop_start = 4.0
    slot.clip.notes.append(MidiNoteSpecification(40, 5.0, 1.0, 90, mute=True))
    slot.clip.signature_numerator, slot.clip.signature_denominator = 6, 8
    connected.press("clip")
    connected.run(4 * TICK_NS)
    assert composer.context == list(VERSE)
    assert composer.begun[-1][2:] == (6, 8)
    assert connected.song.tracks[0].clip_slots[1].clip.length == 12


@pytest.mark.parametrize("selected_first", [True, False])
def test_a_button_that_live_selects_continues_what_was_selected_before(
    connected: Stage, composer: Composer, selected_first: bool
) -> None:
    """With "Select on Launch" a clip that is launched is the selected one, soon or at once."""
    connected.select(*VERSE)
    connected.run(TICK_NS)
    track = connected.song.tracks[1]
    button = track.clip_slots[2]
    button.create_clip(4)
    button.clip.name = "rwkv continue"
    for _ in range(2):
        if selected_first:
            connected.song.view.highlighted_clip_slot = button
        track.change(fired_slot_index=2)
        connected.song.view.highlighted_clip_slot = button
        track.change(fired_slot_index=-1, playing_slot_index=2)
        connected.run(4 * TICK_NS)
    assert composer.context == list(VERSE)
    assert [slot.has_clip for slot in connected.song.tracks[0].clip_slots] == [True] * 3 + [False]


def test_a_clip_that_is_gone_is_not_continued(connected: Stage) -> None:
    slot = connected.select(*VERSE)
    connected.run(TICK_NS)
    button = connected.song.tracks[1].clip_slots[0]
    button.create_clip(4)
    button.clip.name = "rwkv continue"
    connected.song.view.highlighted_clip_slot = button
    slot.is_gone = True
    connected.song.tracks[1].change(fired_slot_index=0)
    assert connected.host.shown == ["RWKV Music: select a MIDI clip in the session view first"]


def test_a_full_track_gets_a_scene(connected: Stage) -> None:
    connected.select(*VERSE)
    for slot in connected.song.tracks[0].clip_slots[1:]:
        slot.create_clip(1)
    connected.press("clip")
    connected.run(4 * TICK_NS)
    assert [len(track.clip_slots) for track in connected.song.tracks] == [5, 5]
    assert connected.song.tracks[0].clip_slots[4].has_clip
    assert connected.song.undo_steps == ["begin", "end"]


@pytest.mark.parametrize("from_zero", [False, True])
@pytest.mark.parametrize(
    "lose", [[], [("notes", 0)], [("notes", 3), ("notes", 7)], [("result", 1)]]
)
def test_what_is_lost_on_the_way_is_asked_for_again(
    tmp_path: Path, lose: list[tuple[str, int]], from_zero: bool
) -> None:
    composer = Composer(lose, from_zero)
    stage = Stage(tmp_path, BridgeService(composer))
    stage.run(3 * TICK_NS)
    notes = [(step / 4, 60 + step % 5, 80, 0.25) for step in range(32 * 8)]
    stage.select(*notes, bars=16)
    stage.press("clip")
    stage.run(10 * TICK_NS)
    clip = stage.song.tracks[0].clip_slots[1].clip
    assert [n.start_time for n in clip.notes] == [step / 4 for step in range(64)]
    assert len(composer.ran) == 1 + bool(lose) + (len(lose) > 1)
    stage.close()


def test_what_keeps_getting_lost_ends_in_an_error(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BridgeService(Composer([("notes", n) for n in range(9)])))
    stage.run(3 * TICK_NS)
    stage.select(*VERSE)
    stage.press("clip")
    stage.run(10 * TICK_NS)
    assert stage.host.shown[-1] == "RWKV Music: 0 of 4 notes are here (412)"
    assert not stage.song.tracks[0].clip_slots[1].has_clip
    stage.close()


def test_a_service_that_does_not_compose_yet_is_quoted_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BridgeService(refusing))
    stage.run(3 * TICK_NS)
    stage.select(*VERSE)
    stage.press("clip")
    stage.run(5 * TICK_NS)
    assert [text for text in stage.host.shown if "406" in text] == [
        "RWKV Music: not yet: a later version does this (406)"
    ]
    stage.host.shown.clear()
    stage.press("clip")
    stage.run(5 * TICK_NS)
    assert len([text for text in stage.host.shown if "406" in text]) == 1
    stage.close()


def test_a_selection_that_cannot_be_continued_says_why(connected: Stage) -> None:
    connected.press("clip")
    connected.select()
    connected.press("clip")
    assert connected.host.shown == [
        "RWKV Music: select a MIDI clip in the session view first",
        "RWKV Music: there are no notes in the selected clip",
    ]


def test_an_answer_that_never_comes_is_given_up(connected: Stage) -> None:
    connected.select(*VERSE)
    connected.press("clip")
    connected.press("clip", 0)
    connected.press("clip")
    assert connected.host.shown[-1] == "RWKV Music: still at work on the last clip"
    connected.run(62_000_000_000, served=False)
    assert "RWKV Music: no answer within 60 s" in connected.host.shown


def test_a_clip_that_live_refuses_to_write_leaves_no_open_undo_step(
    connected: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, length: float) -> None:
        raise RuntimeError("no")

    connected.select(*VERSE)
    connected.press("clip")
    monkeypatch.setattr(fake_live.ClipSlot, "create_clip", refuse)
    connected.run(4 * TICK_NS)
    assert connected.song.undo_steps == ["begin", "end"]
    assert "Log.txt" in connected.host.shown[-1]
