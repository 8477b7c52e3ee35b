"""The Remote Script under a stand-in for Live, with the service's own code at the other end."""

from __future__ import annotations

from pathlib import Path

import fake_live
import pytest
from bridge_service import BridgeService
from fake_live import Host
from live_bridge import imported, install
from live_surface import BEAT_NS, TICK_NS, Stage


def test_tempo_meter_and_place_are_told_on_connecting(tmp_path: Path) -> None:
    stage = Stage(tmp_path, BridgeService())
    stage.song.change(tempo=97.5, signature_numerator=6, signature_denominator=8)
    stage.song.current_song_time = 10.25
    stage.run(3 * TICK_NS)
    assert stage.service.named("transport/tempo")[-1] == (97.5,)
    assert stage.service.named("transport/bar")[-1] == (3, 9.0, 6, 8)
    assert stage.service.named("transport/position")[-1] == (10.25,)
    assert not stage.service.transport.playing
    stage.close()


def test_a_service_that_comes_while_live_plays_follows_it(stage: Stage) -> None:
    stage.song.current_song_time = 16.0
    stage.song.change(is_playing=True, tempo=132.0)
    stage.run(4 * BEAT_NS, served=False)
    while stage.service.server.receive():
        pass  # what was sent meanwhile
    stage.run(8 * BEAT_NS)
    transport = stage.service.transport
    assert transport.playing
    assert transport.tempo_bpm == pytest.approx(132.0)
    beat = transport.beat_at(stage.now_ns)
    assert beat == pytest.approx(stage.song.current_song_time, abs=0.1)


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


SONG = [(0.0, 4, 4), (16.0, 3, 4), (28.0, 6, 8), (34.0, 4, 4)]
LINES = {4: 16.0, 7: 25.0, 8: 28.0, 9: 31.0, 10: 34.0, 11: 38.0}  # of that song


def bar_of(stage: Stage) -> tuple[int, float]:
    """The bar that the service is in, and the beat on which it begins."""
    bar = stage.service.transport.bar_at(stage.service.transport.beat_at(stage.now_ns))
    return bar.number, bar.start_beat


def test_bars_are_lives_through_a_song_of_several_meters(connected: Stage) -> None:
    connected.song.markers = SONG
    connected.song.change(is_playing=True)
    connected.run(39 * BEAT_NS)
    transport = connected.service.transport
    assert {n: transport.bar(n).start_beat for n in LINES} == LINES
    assert connected.service.transport.happened == ["SourceChanged", "Started"]


@pytest.mark.parametrize(
    ("place", "bar"), [(26.5, 7), (28.0, 8), (29.75, 8), (33.0, 9), (35.0, 10), (17.0, 4)]
)
@pytest.mark.parametrize("start", [2.0, 20.5, 39.0])
def test_after_a_jump_the_bar_is_lives(
    connected: Stage, start: float, place: float, bar: int
) -> None:
    connected.song.markers = SONG
    connected.song.current_song_time = start
    connected.song.change(is_playing=True)
    connected.run(3 * BEAT_NS)
    before = len(connected.service.transport.happened)
    connected.song.current_song_time = place
    connected.run(2 * TICK_NS)
    assert bar_of(connected) == (bar, LINES[bar])
    connected.run(2 * BEAT_NS)
    assert connected.service.transport.happened[before:] == ["Located"]


@pytest.mark.parametrize(("place", "bar"), [(26.5, 7), (29.75, 8), (33.0, 9), (35.0, 10)])
def test_started_anywhere_the_bar_is_lives(connected: Stage, place: float, bar: int) -> None:
    connected.song.markers = SONG
    connected.song.current_song_time = place
    connected.run(BEAT_NS)
    assert bar_of(connected) == (bar, LINES[bar])
    connected.song.change(is_playing=True)
    connected.run(2 * TICK_NS)
    assert bar_of(connected) == (bar, LINES[bar])


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


def test_the_mode_goes_on_from_that_of_a_button(connected: Stage) -> None:
    slot = connected.song.tracks[1].clip_slots[0]
    slot.create_clip(4)
    slot.clip.name = "rwkv mode trade"
    connected.song.tracks[1].change(fired_slot_index=0)
    connected.press("mode")
    connected.run(TICK_NS)
    assert [args[0] for args in connected.service.named("mode")] == ["trade", "auto"]


def test_with_a_service_that_was_started_anew_the_mode_begins_anew(connected: Stage) -> None:
    connected.press("mode")
    connected.press("mode", 0)
    connected.run(10_000_000_000, served=False)
    connected.run(3_000_000_000)
    assert connected.host.shown[-1] == "RWKV Music: connected"
    connected.press("mode")
    connected.run(TICK_NS)
    assert [args[0] for args in connected.service.named("mode")] == ["trade", "trade"]


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


def test_unloaded_while_it_plays_it_stops_the_service(connected: Stage) -> None:
    """Which would play on by its own clock, to nobody."""
    connected.song.change(is_playing=True)
    connected.run(4 * BEAT_NS)
    assert connected.service.transport.playing
    connected.surface.disconnect()
    connected.run(5_000_000_000)
    assert not connected.service.transport.playing


def test_unloaded_at_rest_it_stops_nothing(connected: Stage) -> None:
    connected.song.change(is_playing=True)
    connected.song.change(is_playing=False)
    connected.run(TICK_NS)
    before = len(connected.service.named("transport/stop"))
    connected.surface.disconnect()
    connected.run(TICK_NS)
    assert len(connected.service.named("transport/stop")) == before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "settings.json: "),
        ("[]", 'expected {"port"'),
        ('{"controls": []}', "controls: expected {"),
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
    assert host.log == host.shown


def test_a_line_that_cannot_be_used_leaves_the_others_and_is_said_again(tmp_path: Path) -> None:
    service = BridgeService()
    controls = '{"trigger": "cc 20 ch 16", "stop": "cc 200", "jump": "cc 1"}'
    settings = f'{{"port": {service.server.port}, "controls": {controls}}}'
    stage = Stage(tmp_path, service, settings)
    stage.run(3 * TICK_NS)
    assert [text.partition(": expected")[0] for text in stage.host.log] == [
        "RWKV Music: settings.json: stop",
        "RWKV Music: settings.json: unknown command 'jump'; there are trigger, toggle, stop,"
        " panic, regenerate, take_next, undo, reset, mode_manual, mode_trade, mode_auto, mode,"
        " continue_clip",
    ]
    assert stage.host.shown[-1].startswith("RWKV Music: connected, but settings.json: stop: ")
    stage.press("trigger")
    stage.run(TICK_NS)
    assert len(service.named("trigger")) == 1
    stage.run(10_000_000_000, served=False)
    stage.run(3_000_000_000)
    assert stage.host.shown[-1] == "RWKV Music: connected"
    stage.close()
