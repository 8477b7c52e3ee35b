"""The ReaScripts under real Lua with a stand-in for REAPER, and REAPER's own OSC as it sends it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bridge_service import BridgeService, Composer, refusing
from lua_values import lua
from rwkv_music_daemon import bridges
from rwkv_music_daemon.midi_map import COMMANDS
from rwkv_music_daemon.osc.client import OscClient
from rwkv_music_daemon.osc.requests import REQUESTS

ROOT = Path(__file__).resolve().parents[2]
REAPER = ROOT / "bridge_scripts" / "reaper"
SCRIPTS = REAPER / "RWKV Music"
PATTERNS = REAPER / "OSC" / "RWKV Music.ReaperOSC"
STAND_IN = Path(__file__).with_name("fake_reaper.lua")

needs_lua = pytest.mark.skipif(
    shutil.which("lua5.4") is None and os.environ.get("RWKV_MUSIC_REAL") != "1",
    reason="lua5.4 is not installed (Debian: lua5.4)",
)
Line = list[str]


class Reaper:
    """REAPER with the bridge installed. The program that the scripts run talks to `service`."""

    def __init__(self, folder: Path, service: BridgeService | None) -> None:
        self.folder = folder / "REAPER resources"
        config = folder / "config" / "rwkv-music" / "config.yaml"
        config.parent.mkdir(parents=True)
        port = service.server.port if service else 9
        config.write_text(f"osc: {{port: {port}}}\n", encoding="utf-8")
        self.environ = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
        self.program = folder / "rwkv-music-daemon"
        self.program.write_text(
            f"#!/bin/sh\nexec {sys.executable} -c 'from rwkv_music_daemon.cli import main; main()'"
            ' "$@"\n',
            encoding="utf-8",
        )
        self.program.chmod(0o755)
        bridges.install(bridges.find("reaper"), self.folder, port, self.program)

    def run(self, script: str, **scenario: Any) -> list[Line]:
        """Run an action and return what happened."""
        project = {
            "tempo": 120.0,
            "numerator": 4,
            "denominator": 4,
            "resource_path": str(self.folder),
            **scenario,
        }
        file = self.folder / "scenario.lua"
        file.write_text(f"return {lua(project)}\n", encoding="utf-8")
        path = self.folder / "Scripts" / "RWKV Music" / script
        done = subprocess.run(
            ["lua5.4", str(STAND_IN), str(path), str(file)],
            capture_output=True,
            text=True,
            timeout=100,
            env=self.environ,
        )
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def answer_with(self, status: int, text: str) -> None:
        """Put another program in the place of the real one."""
        self.program.write_text(
            f"#!/bin/sh\nprintf '%s\\n' '{text}'\nexit {status}\n", encoding="utf-8"
        )


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[BridgeService | None], Reaper]]:
    services: list[BridgeService] = []

    def reaper(service: BridgeService | None) -> Reaper:
        if service is not None:
            services.append(service.serve())
        return Reaper(tmp_path, service)

    yield reaper
    for service in services:
        service.close()


def kinds(happened: list[Line], *wanted: str) -> list[Line]:
    return [line[1:] for line in happened if line[0] in wanted]


@needs_lua
@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.lua")), ids=lambda path: path.name)
def test_every_script_is_lua(script: Path) -> None:
    code = "assert(loadfile(arg[1]))"
    done = subprocess.run(["lua5.4", "-", str(script)], input=code, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@needs_lua
@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "reset"])
def test_every_command_is_an_action(command: str, make: Callable[..., Reaper]) -> None:
    reaper = make(None)
    reaper.answer_with(0, "")
    happened = reaper.run(f"rwkv_{command}.lua")
    address, args = COMMANDS[command]
    ((line, timeout),) = kinds(happened, "run")
    assert line == " ".join([f"{reaper.program}", "ctl", address, *args])
    assert int(timeout) > 0
    assert not kinds(happened, "tooltip", "box")


@needs_lua
def test_a_trigger_reaches_the_service_through_its_program(make: Callable[..., Reaper]) -> None:
    service = BridgeService()
    reaper = make(service)
    assert kinds(reaper.run("rwkv_trigger.lua"), "tooltip", "box") == []
    assert service.named("trigger") == [(None, None)]
    assert service.state in ("armed", "playing")
    reaper.run("rwkv_stop.lua")
    assert service.state in ("idle", "listening")


@needs_lua
def test_an_error_of_the_service_is_shown_beside_the_mouse(make: Callable[..., Reaper]) -> None:
    happened = make(BridgeService()).run("rwkv_take_next.lua")
    ((shown,),) = kinds(happened, "tooltip")
    assert re.fullmatch(r"RWKV Music: [^/\"]+ \(406\)", shown)


@needs_lua
def test_nobody_there_is_said(make: Callable[..., Reaper]) -> None:
    reaper = make(None)
    reaper.answer_with(1, "error: nobody answers at 127.0.0.1:9: is it running there?")
    ((shown,),) = kinds(reaper.run("rwkv_trigger.lua"), "tooltip")
    assert shown == "RWKV Music: nobody answers at 127.0.0.1:9: is it running there?"
    reaper.answer_with(1, "")
    ((shown,),) = kinds(reaper.run("rwkv_trigger.lua"), "tooltip")
    assert shown == (
        "RWKV Music: the service does not answer; start it with: rwkv-music-daemon run"
    )


@needs_lua
def test_a_program_that_is_not_there_is_said(make: Callable[..., Reaper]) -> None:
    settings = {"rwkv_music.program": "/nowhere/rwkv music"}
    happened = make(None).run("rwkv_trigger.lua", settings=settings)
    ((shown,),) = kinds(happened, "tooltip")
    assert "/nowhere/rwkv music cannot be started" in shown


@needs_lua
def test_midi_is_set_up_by_learning_and_then_used(make: Callable[..., Reaper]) -> None:
    service = BridgeService()
    reaper = make(service)
    outputs = ["", "Piano", "RWKV Music In"]
    reaper.answer_with(0, "")
    happened = reaper.run("rwkv_midi_setup.lua", outputs=outputs)
    learned = [line.split()[-1] for line, _ in kinds(happened, "run")]
    assert sorted(learned) == sorted(COMMANDS)
    pressed = kinds(happened, "midi")
    assert [line[3] for line in pressed] == ["127", "0"] * len(COMMANDS)
    assert {line[0] for line in pressed} == {"18"}
    settings = {name: value for name, value, _ in kinds(happened, "setting")}
    happened = reaper.run("rwkv_trigger.lua", outputs=outputs, settings=settings)
    controller = str(102 + learned.index("trigger"))
    assert kinds(happened, "midi") == [
        ["18", "191", controller, "127"],
        ["18", "191", controller, "0"],
    ]
    assert not kinds(happened, "run")
    assert kinds(reaper.run("rwkv_trigger.lua", outputs=["Piano"], settings=settings), "run")


@needs_lua
def test_the_service_learns_what_midi_setup_asks_for(make: Callable[..., Reaper]) -> None:
    service = BridgeService()
    happened = make(service).run("rwkv_midi_setup.lua", outputs=["RWKV Music In"])
    assert service.named("learn") == [(command,) for command in sorted(COMMANDS)]
    assert "now go over MIDI" in kinds(happened, "box")[0][1]


@needs_lua
def test_midi_setup_without_the_port_says_what_to_enable(make: Callable[..., Reaper]) -> None:
    happened = make(None).run("rwkv_midi_setup.lua", outputs=["Piano"])
    assert "enable it in Preferences" in kinds(happened, "box")[0][1]


@needs_lua
def test_the_main_action_asks_for_the_program_and_tries_it(make: Callable[..., Reaper]) -> None:
    reaper = make(BridgeService())
    happened = reaper.run("rwkv_music.lua", input=str(reaper.program))
    assert kinds(happened, "asked")[0][1] == str(reaper.program)
    assert kinds(happened, "setting")[0][:2] == ["rwkv_music.program", str(reaper.program)]
    assert kinds(happened, "box")[0][1].startswith("The service answers: /rwkv/status idle ")


@needs_lua
def test_the_meter_is_told_once(make: Callable[..., Reaper]) -> None:
    reaper = make(None)
    reaper.answer_with(0, "")
    happened = reaper.run("rwkv_follow_meter.lua", numerator=6, denominator=8, most_deferred=5)
    ((line, wait),) = kinds(happened, "run")
    assert line.endswith("ctl transport/meter 6 8")
    assert wait == "-1"


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
def test_the_selected_item_is_continued(make: Callable[..., Reaper]) -> None:
    composer = Composer()
    reaper = make(BridgeService(composer))
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
def test_the_services_own_continuation_is_written(make: Callable[..., Reaper]) -> None:
    happened = make(BridgeService()).run("rwkv_continue_item.lua", items=[an_item()])
    assert kinds(happened, "box") == []
    assert kinds(happened, "item") == [["track 1", "16.0000", "32.0000"]]
    assert [float(note[0]) for note in kinds(happened, "note")] == list(range(16))


@needs_lua
def test_an_item_off_the_bar_lines_is_continued_on_one(make: Callable[..., Reaper]) -> None:
    composer = Composer(from_zero=True)
    reaper = make(BridgeService(composer))
    item = an_item(first_beat=7.0, last_beat=13.5)
    happened = reaper.run("rwkv_continue_item.lua", numerator=6, denominator=8, items=[item])
    assert composer.context[0] == (1.0, 60, 90, 1.0)  # from the bar line at 6 on
    assert composer.begun[-1][2:] == (6, 8)
    assert kinds(happened, "item") == [["track 1", "15.0000", "27.0000"]]
    assert kinds(happened, "note")[0][0] == "1.0000"


@needs_lua
def test_a_service_that_does_not_compose_yet_is_quoted(make: Callable[..., Reaper]) -> None:
    happened = make(BridgeService(refusing)).run("rwkv_continue_item.lua", items=[an_item()])
    assert kinds(happened, "box") == [["RWKV Music", "not yet: a later version does this"]]
    assert not kinds(happened, "item", "undo begins")


@needs_lua
def test_an_outcome_that_never_comes_is_given_up(make: Callable[..., Reaper]) -> None:
    reaper = make(None)
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
    items: list[Any], reason: str, make: Callable[..., Reaper]
) -> None:
    happened = make(None).run("rwkv_continue_item.lua", items=items)
    assert kinds(happened, "box") == [["RWKV Music", reason]]


@needs_lua
def test_an_item_that_reaper_refuses_leaves_no_open_undo_block(make: Callable[..., Reaper]) -> None:
    reaper = make(BridgeService(Composer()))
    happened = reaper.run("rwkv_continue_item.lua", items=[an_item()], read_only=True)
    assert "no item can be made here" in kinds(happened, "box")[0][1]
    assert kinds(happened, "undo ends")


def patterns() -> dict[str, tuple[str, str]]:
    """REAPER's name -> type and address."""
    lines = PATTERNS.read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith(("#", "DEVICE_"))]
    return {name: (pattern[0], pattern[1:]) for name, pattern in words}


def test_reapers_patterns_are_addresses_of_the_table() -> None:
    for name, (kind, address) in patterns().items():
        spec = REQUESTS[address]
        expected = "".join(arg.type for arg in spec.args) or "t"
        assert kind == expected, name


def test_reapers_own_messages_lead_the_transport() -> None:
    service = BridgeService()
    send = {name: address for name, (_, address) in patterns().items()}
    beat_ns, told = 60_000_000_000 / 90, 33_000_000
    with OscClient(port=service.server.port) as client:
        client.send(send["TEMPO"], 90.0)
        client.send(send["STOP"], 1.0)
        client.send(send["PLAY"], 0.0)
        client.send(send["BEAT"], "3.1.00")
        service.pump(told)
        client.send(send["STOP"], 0.0)
        client.send(send["PLAY"], 1.0)
        for step in range(2, 90):
            now_ns = step * told
            beat = 8 + (now_ns - told) / beat_ns
            hundredths = int(beat % 1 * 100)
            client.send(send["BEAT"], f"{int(beat) // 4 + 1}.{int(beat) % 4 + 1}.{hundredths:02}")
            client.send(send["TIME"], beat * 60 / 90)
            service.pump(now_ns)
        assert service.server.counts.refused == 0
        assert service.transport.playing
        assert service.transport.tempo_bpm == pytest.approx(90.0)
        assert service.transport.beat_at(89 * told) == pytest.approx(beat, abs=0.05)
        client.send(send["PLAY"], 0.0)
        client.send(send["PAUSE"], 1.0)
        service.pump(90 * told)
        assert not service.transport.playing
    service.close()


def test_the_package_is_whole() -> None:
    text = (SCRIPTS / "rwkv_music.lua").read_text(encoding="utf-8")
    assert re.search(r"^-- @version \d+\.\d+\.\d+$", text, re.MULTILINE)
    provided = dict(
        reversed(match)
        for match in re.findall(r"^--   \[(main|nomain)\] (\S+)$", text, re.MULTILINE)
    )
    files = {path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.rglob("*.lua")}
    assert set(provided) == files - {"rwkv_music.lua"}
    for name, kind in provided.items():
        assert kind == ("nomain" if name.startswith("lib/") else "main")
        if kind == "main":
            assert (SCRIPTS / name).read_text(encoding="utf-8").startswith("-- @noindex\n-- ")
