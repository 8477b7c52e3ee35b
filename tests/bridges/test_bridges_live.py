"""The Remote Script under a stand-in for Live, with the service's own code at the other end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_live
import pytest
from bridge_service import BridgeService, Composer, refusing
from fake_live import Clip, Host, MidiNoteSpecification
from live_bridge import imported, install

TICK_NS = 40_000_000
BEAT_NS = 500_000_000  # at 120
CONTROL = {"trigger": 20, "stop": 21, "toggle": 22, "take_next": 23, "mode": 24, "clip": 25}


class Stage:
    """Live with the script in it, and the service; time moves both."""

    def __init__(self, folder: Path, service: BridgeService) -> None:
        self.host = Host()
        self.song: Any = self.host.live_song
        self.service = service
        self.now_ns = 0
        install(folder, service.server.port)
        self._exits = contextlib.ExitStack()
        self._exits.enter_context(fake_live.installed())
        package = self._exits.enter_context(imported(folder))
        self.surface = package.create_instance(self.host)
        self.surface._now_s = lambda: self.now_ns / 1e9

    def close(self) -> None:
        self.surface.disconnect()
        self._exits.close()
        self.service.close()

    def run(self, duration_ns: int, *, served: bool = True) -> None:
        """Let time pass; Live's song moves on while it plays. served: the service is there."""
        end_ns = self.now_ns + duration_ns
        while self.now_ns < end_ns:
            self.now_ns += TICK_NS
            if self.song.is_playing:
                self.song.current_song_time += TICK_NS / 60e9 * self.song.tempo
            if served:
                self.service.pump(self.now_ns)
            self.host.tick()
            if served:
                self.service.pump()

    def press(self, name: str, value: int = 127) -> None:
        self.surface.receive_midi((0xBF, CONTROL[name], value))

    def select(self, *notes: tuple[float, int, int, float], bars: int = 2) -> Any:
        """A clip with these notes in the first slot, selected."""
        slot = self.song.tracks[0].clip_slots[0]
        slot.clip = Clip(bars * 4)
        slot.clip.name = "verse"
        slot.clip.notes = [
            MidiNoteSpecification(pitch, beat, beats, velocity)
            for beat, pitch, velocity, beats in notes
        ]
        self.song.view.highlighted_clip_slot = slot
        return slot


@pytest.fixture
def composer() -> Composer:
    return Composer()


@pytest.fixture
def stage(tmp_path: Path, composer: Composer) -> Iterator[Stage]:
    stage = Stage(tmp_path, BridgeService(composer))
    yield stage
    stage.close()


@pytest.fixture
def connected(stage: Stage) -> Stage:
    stage.run(3 * TICK_NS)
    assert stage.host.shown == ["RWKV Music: connected"]
    stage.host.shown.clear()
    return stage


def test_tempo_meter_and_place_are_told_on_connecting(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BridgeService())
    stage.song.change(tempo=97.5, signature_numerator=6, signature_denominator=8)
    stage.song.current_song_time = 9.0
    stage.run(3 * TICK_NS)
    assert stage.service.named("transport/tempo")[-1] == (97.5,)
    assert stage.service.named("transport/meter")[-1] == (6, 8)
    assert stage.service.named("transport/position")[-1] == (9.0,)
    assert not stage.service.transport.playing
    stage.close()


def test_the_service_follows_lives_transport(connected: Stage) -> None:
    connected.song.current_song_time = 8.0
    connected.song.change(is_playing=True)
    connected.run(4 * BEAT_NS)
    transport = connected.service.transport
    assert transport.playing
    assert transport.source == "osc"
    assert transport.beat_at(connected.now_ns) == pytest.approx(12.0, abs=0.1)
    connected.song.change(tempo=90.0)
    connected.run(6 * BEAT_NS)
    assert transport.tempo_bpm == pytest.approx(90.0)
    assert transport.beat_at(connected.now_ns) == pytest.approx(
        connected.song.current_song_time, abs=0.1
    )
    connected.song.change(is_playing=False)
    connected.run(TICK_NS)
    assert not transport.playing


def test_a_locate_while_playing_is_followed(connected: Stage) -> None:
    connected.song.change(is_playing=True)
    connected.run(4 * BEAT_NS)
    connected.song.current_song_time = 32.0
    connected.run(2 * BEAT_NS)
    beat = connected.service.transport.beat_at(connected.now_ns)
    assert beat == pytest.approx(connected.song.current_song_time, abs=0.1)


def test_the_position_is_steady_while_playing_and_rare_at_rest(connected: Stage) -> None:
    connected.song.change(is_playing=True)
    before = len(connected.service.named("transport/position"))
    connected.run(1_000_000_000)
    told = len(connected.service.named("transport/position")) - before
    assert 10 <= told <= 30
    connected.song.change(is_playing=False)
    before = len(connected.service.named("transport/position"))
    connected.run(10_000_000_000)
    assert 8 <= len(connected.service.named("transport/position")) - before <= 12


def test_a_count_in_before_the_song_is_not_told(connected: Stage) -> None:
    connected.song.current_song_time = -2.0
    connected.song.change(is_playing=True)
    connected.run(3 * BEAT_NS)
    assert connected.host.shown == []
    assert min(args[0] for args in connected.service.named("transport/position")) >= 0


def test_a_meter_that_the_service_does_not_know_is_said_once(connected: Stage) -> None:
    connected.song.change(signature_numerator=11)
    connected.run(5_000_000_000)
    (shown,) = connected.host.shown
    assert "11/4" in shown
    assert shown.endswith("(422)")


def test_the_controls_are_forwarded_and_trigger(connected: Stage) -> None:
    wanted: set[tuple[str, int, int]] = set()
    connected.surface.build_midi_map(wanted)
    assert wanted == {("cc", 15, number) for number in range(20, 27)}
    connected.press("trigger")
    connected.press("trigger", 0)
    connected.run(TICK_NS)
    assert connected.service.named("trigger") == [(None, None)]
    assert connected.service.state in ("armed", "playing")
    assert connected.host.shown[0].startswith("RWKV Music: continues at bar ")
    connected.press("stop")
    connected.run(TICK_NS)
    assert connected.service.state in ("idle", "listening")


def test_a_pedal_fires_once_on_its_way_down(connected: Stage) -> None:
    for value in (10, 50, 70, 90, 127, 100, 60, 0):
        connected.press("toggle", value)
    connected.press("toggle")
    connected.press("toggle")  # a button without a release
    connected.run(TICK_NS)
    assert len(connected.service.named("toggle")) == 3


def test_the_mode_goes_round(connected: Stage) -> None:
    for _ in range(3):
        connected.press("mode", 127)
        connected.press("mode", 0)
    connected.run(TICK_NS)
    assert [args[0] for args in connected.service.named("mode")] == ["trade", "auto", "manual"]


def test_next_take_asks_and_an_error_is_shown(connected: Stage) -> None:
    connected.press("take_next")
    connected.run(TICK_NS)
    assert connected.service.named("take/next") == [()]
    (shown,) = connected.host.shown
    assert shown.endswith("(406)")


def test_a_clip_is_a_button(connected: Stage) -> None:
    track = connected.song.tracks[1]
    names = ("rwkv trigger", "RWKV: Next Take", "rwkv mode trade", "drums", "rwkv dance")
    track.clip_slots += [fake_live.ClipSlot(track)]
    for slot, name in zip(track.clip_slots, names, strict=True):
        slot.create_clip(4)
        slot.clip.name = name
    for index in range(5):
        track.change(fired_slot_index=index)
        track.change(fired_slot_index=-1, playing_slot_index=index)
    track.change(playing_slot_index=0)  # launched without waiting
    connected.run(TICK_NS)
    names_asked = [r.name for r in connected.service.requests if "/" not in r.name]
    assert [n for n in names_asked if n in ("trigger", "mode")] == ["trigger", "mode", "trigger"]
    assert len(connected.service.named("take/next")) == 1


def test_buttons_follow_the_tracks(connected: Stage) -> None:
    gone, kept = connected.song.tracks
    new = fake_live.Track(1)
    connected.song.change(tracks=[kept, new])
    assert gone.listeners == 0
    new.clip_slots[0].create_clip(4)
    new.clip_slots[0].clip.name = "rwkv panic"
    new.change(fired_slot_index=0)
    connected.run(TICK_NS)
    assert connected.service.named("panic") == [()]


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


def test_nobody_at_the_other_end_is_said_and_survived(stage: Stage) -> None:
    stage.run(20_000_000_000, served=False)
    stage.press("trigger")
    assert stage.host.shown == [
        "RWKV Music: the service does not answer; start it with: rwkv-music-daemon run"
    ]
    while stage.service.server.receive():
        pass  # what was sent meanwhile
    stage.run(3_000_000_000)
    assert stage.host.shown[-1] == "RWKV Music: connected"
    stage.run(10_000_000_000, served=False)
    assert "does not answer" in stage.host.shown[-1]
    assert stage.host.log == []


def test_an_answer_that_never_comes_is_given_up(connected: Stage) -> None:
    connected.select(*VERSE)
    connected.press("clip")
    connected.press("clip", 0)
    connected.press("clip")
    assert connected.host.shown[-1] == "RWKV Music: still at work on the last clip"
    connected.run(62_000_000_000, served=False)
    assert "RWKV Music: no answer within 60 s" in connected.host.shown


def test_exceptions_of_live_do_not_stop_the_timer(connected: Stage) -> None:
    time = type(connected.song).__dict__.get("current_song_time")
    assert time is None
    del connected.song.current_song_time
    connected.run(5 * TICK_NS)
    assert connected.host.log
    assert "current_song_time" in connected.host.log[0]
    connected.run(200 * TICK_NS)
    assert len(connected.host.log) <= 20
    connected.song.current_song_time = 0.0
    connected.press("trigger")
    connected.run(TICK_NS)
    assert connected.service.named("trigger")


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


def test_strangers_are_not_listened_to(connected: Stage) -> None:
    other = BridgeService()
    port = connected.surface._service.port
    other.server.reply(("127.0.0.1", port), "/rwkv/error", 500, "boo", "/rwkv/trigger")
    connected.run(2 * TICK_NS)
    other.close()
    assert connected.host.shown == []


def test_disconnecting_leaves_nothing_behind(connected: Stage) -> None:
    connected.surface.disconnect()
    tracks = connected.song.tracks
    assert connected.song.listeners == sum(track.listeners for track in tracks) == 0
    assert not any(timer.running for timer in fake_live.Timer.timers)
    connected.service.pump()
    assert connected.service.named("unsubscribe")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "settings.json: "),
        ("[]", 'expected {"port"'),
        ('{"port": 0}', "port: expected a number from 1 to 65535, got 0"),
        ('{"controls": {"jump": "cc 1"}}', "unknown command 'jump'; there are trigger, "),
        ('{"controls": {"stop": "cc 128"}}', 'stop: expected "cc 20"'),
        ('{"controls": {"stop": "cc 1 ch 17"}}', 'stop: expected "cc 20"'),
    ],
)
def test_settings_that_cannot_be_used_are_shown(tmp_path: Path, text: str, complaint: str) -> None:
    (install(tmp_path, 9) / "settings.json").write_text(text, encoding="utf-8")
    host = Host()
    with fake_live.installed(), imported(tmp_path) as package:
        package.create_instance(host).disconnect()
    (shown,) = host.shown
    assert complaint in shown
