"""The ReaScripts under real Lua with a stand-in for REAPER, and REAPER's own OSC as it sends it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bridge_service import BridgeService
from reaper_bridge import PATTERNS, SCRIPTS, Reaper, kinds, needs_lua
from rwkv_music_daemon.midi_map import COMMANDS
from rwkv_music_daemon.osc.client import OscClient
from rwkv_music_daemon.osc.requests import REQUESTS

S = 1_000_000_000
PORT = "RWKV Music In"
CANCEL, YES, NO = 2, 6, 7  # the buttons of REAPER's questions


@needs_lua
@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.lua")), ids=lambda path: path.name)
def test_every_script_is_lua(script: Path) -> None:
    code = "assert(loadfile(arg[1]))"
    done = subprocess.run(["lua5.4", "-", str(script)], input=code, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@needs_lua
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_an_action(command: str, make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "")
    happened = reaper.run(f"rwkv_{command}.lua")
    address, args = COMMANDS[command]
    ((line, timeout),) = kinds(happened, "run")
    assert line == " ".join([f"{reaper.program}", "ctl", address, *args])
    assert int(timeout) > 0
    assert not kinds(happened, "tooltip", "box")


@needs_lua
def test_a_trigger_reaches_the_service_through_its_program(
    make_reaper: Callable[..., Reaper],
) -> None:
    service = BridgeService()
    reaper = make_reaper(service)
    assert kinds(reaper.run("rwkv_trigger.lua"), "tooltip", "box") == []
    assert service.named("trigger") == [(None, None)]
    assert service.state in ("armed", "playing")
    reaper.run("rwkv_stop.lua")
    assert service.state in ("idle", "listening")


@needs_lua
def test_an_error_of_the_service_is_shown_beside_the_mouse(
    make_reaper: Callable[..., Reaper],
) -> None:
    happened = make_reaper(BridgeService()).run("rwkv_take_next.lua")
    ((shown,),) = kinds(happened, "tooltip")
    assert re.fullmatch(r"RWKV Music: [^/\"]+ \(406\)", shown)


@needs_lua
def test_nobody_there_is_said(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(1, "error: nobody answers at 127.0.0.1:9: is it running there?")
    ((shown,),) = kinds(reaper.run("rwkv_trigger.lua"), "tooltip")
    assert shown == "RWKV Music: nobody answers at 127.0.0.1:9: is it running there?"
    reaper.answer_with(1, "")
    ((shown,),) = kinds(reaper.run("rwkv_trigger.lua"), "tooltip")
    assert shown == (
        "RWKV Music: the service does not answer; start it with: rwkv-music-daemon run"
    )


@needs_lua
def test_a_program_that_is_not_there_is_said(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.program.unlink()
    ((shown,),) = kinds(reaper.run("rwkv_trigger.lua"), "tooltip")
    assert f"{reaper.program} cannot be started" in shown


@needs_lua
def test_a_remembered_program_that_is_gone_is_not_used(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "")
    settings = {"rwkv_music.program": "/nowhere/rwkv music"}
    happened = reaper.run("rwkv_trigger.lua", settings=settings)
    assert kinds(happened, "run")[0][0].startswith(f"{reaper.program} ")


@needs_lua
def test_midi_is_set_up_by_learning_and_then_used(make_reaper: Callable[..., Reaper]) -> None:
    service = BridgeService()
    reaper = make_reaper(service)
    outputs = ["", "Piano", PORT]
    happened = reaper.run("rwkv_midi_setup.lua", outputs=outputs, midi_to=str(service.midi_from))
    assert "11 commands now go over MIDI to RWKV Music In" in kinds(happened, "box")[0][1]
    learned = [command for (command,) in service.named("learn")]
    assert learned == sorted(COMMANDS)
    pressed = kinds(happened, "midi")
    assert [line[3] for line in pressed] == ["127", "0"] * len(COMMANDS)
    assert {line[0] for line in pressed} == {"18"}
    settings = {name: value for name, value, _ in kinds(happened, "setting")}
    reaper.answer_with(0, "")
    happened = reaper.run("rwkv_trigger.lua", outputs=outputs, settings=settings)
    controller = str(102 + learned.index("trigger"))
    assert kinds(happened, "midi") == [
        ["18", "191", controller, "127"],
        ["18", "191", controller, "0"],
    ]
    assert not kinds(happened, "run")
    assert kinds(reaper.run("rwkv_trigger.lua", outputs=["Piano"], settings=settings), "run")


@needs_lua
def test_a_dead_output_is_not_set_up(make_reaper: Callable[..., Reaper]) -> None:
    """The next key of the player's must not be learned, and the actions work as before."""
    reaper = make_reaper(None)
    reaper.answer_with(0, "")
    happened = reaper.run("rwkv_midi_setup.lua", outputs=[PORT])
    said = kinds(happened, "box")[0][1]
    assert said.startswith(", ".join(sorted(COMMANDS)) + " did not reach the service: enable")
    assert not kinds(happened, "setting")
    assert kinds(happened, "run")[-1][0].endswith(" ctl learn")


@needs_lua
def test_what_was_learned_once_does_not_hide_a_dead_output(
    make_reaper: Callable[..., Reaper],
) -> None:
    """Of all that, nothing is unlearned but what has to come again, and a key's."""
    reaper = make_reaper(None)
    listed = reaper.folder / "listed"
    reaper.answer_by(f"""
        [ "$2" = learn/list ] || exit 0
        echo '/rwkv/learned toggle "cc 64 ch 1" learned'
        if [ -e '{listed}' ]
        then echo '/rwkv/learned stop "note 60 ch 1" learned'
        else echo '/rwkv/learned undo "cc 112 ch 16" learned'
        fi
        touch '{listed}'
    """)
    settings = {"rwkv_music.midi_output": PORT}
    happened = reaper.run("rwkv_midi_setup.lua", outputs=[PORT], settings=settings, pressed=YES)
    asked = [line.partition(" ctl ")[2] for line, _ in kinds(happened, "run")]
    learned = [f"learn {command}" for command in sorted(COMMANDS)]
    first, last = ["learn/list", "unlearn undo"], ["learn/list", "unlearn stop", "learn"]
    assert asked == [*first, *learned, *last]
    assert "undo did not reach the service" in kinds(happened, "box")[0][1]
    assert kinds(happened, "forgotten") == [["rwkv_music.midi_output", "true"]]


@needs_lua
@pytest.mark.parametrize("pressed", [NO, CANCEL])
def test_there_is_a_way_back_from_midi(pressed: int, make_reaper: Callable[..., Reaper]) -> None:
    settings = {"rwkv_music.midi_output": PORT, "rwkv_music.controller_trigger": "112"}
    happened = make_reaper(None).run(
        "rwkv_midi_setup.lua", outputs=[PORT], settings=settings, pressed=pressed
    )
    assert "No: the actions run the program again" in kinds(happened, "question")[0][1]
    assert not kinds(happened, "run", "midi", "setting")
    forgotten = [["rwkv_music.midi_output", "true"]] if pressed == NO else []
    assert kinds(happened, "forgotten") == forgotten


@needs_lua
def test_midi_setup_without_the_port_says_what_to_enable(
    make_reaper: Callable[..., Reaper],
) -> None:
    happened = make_reaper(None).run("rwkv_midi_setup.lua", outputs=["Piano"])
    assert "enable it in Preferences" in kinds(happened, "box")[0][1]


@needs_lua
def test_the_main_action_asks_for_the_program_and_tries_it(
    make_reaper: Callable[..., Reaper],
) -> None:
    """What is installed is not remembered: the next installation may be elsewhere."""
    reaper = make_reaper(BridgeService())
    happened = reaper.run("rwkv_music.lua", input=str(reaper.program))
    assert kinds(happened, "asked")[0][1] == str(reaper.program)
    assert kinds(happened, "forgotten") == [["rwkv_music.program", "true"]]
    assert not kinds(happened, "setting")
    assert kinds(happened, "box")[0][1].startswith("The service answers: /rwkv/status idle ")


@needs_lua
def test_another_program_is_remembered(make_reaper: Callable[..., Reaper]) -> None:
    reaper = make_reaper(None)
    reaper.answer_with(0, "/rwkv/status idle")
    other = str(reaper.program.with_name("one, two"))
    happened = reaper.run("rwkv_music.lua", input=other)
    assert kinds(happened, "box") == [["RWKV Music", f"{other} is not there"]]
    assert not kinds(happened, "setting", "forgotten", "run")
    reaper.program.rename(other)
    happened = reaper.run("rwkv_music.lua", input=other)
    assert kinds(happened, "setting") == [["rwkv_music.program", other, "true"]]
    assert kinds(happened, "box") == [["RWKV Music", "The service answers: /rwkv/status idle"]]


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


def at_place(beat: float, seconds: float) -> Iterator[tuple[str, object]]:
    """What REAPER sends when its place has changed, in its order."""
    yield "TIME", seconds
    hundredths = int(beat % 1 * 100)
    yield "BEAT", f"{int(beat) // 4 + 1}.{int(beat) % 4 + 1}.{hundredths:02}"


def play_state(*, plays: bool, pauses: bool = False) -> Iterator[tuple[str, object]]:
    yield from (("STOP", float(not plays)), ("PAUSE", float(pauses)), ("PLAY", float(plays)))


def test_reapers_own_messages_lead_the_transport() -> None:
    """It plays, pauses and goes on in the middle of a song that was slower before."""
    service = BridgeService()
    service.rehearsal.conductor.set_parameter("count_in", 1, 0)
    addresses = {name: address for name, (_, address) in patterns().items()}
    beat_ns, told = 60_000_000_000 / 90, 66_000_000
    with OscClient(port=service.server.port) as client:

        def send(*messages: tuple[str, object]) -> None:
            for name, value in messages:
                if name in addresses:
                    client.send(addresses[name], value)

        def play(from_ns: int, beat: float) -> float:
            send(*play_state(plays=True))
            service.pump(from_ns)
            for step in range(1, 60):
                place = beat + step * told / beat_ns
                send(*at_place(place, 20 + place * 60 / 90))
                service.pump(from_ns + step * told)
            assert service.transport.beat_at(from_ns + 59 * told) == pytest.approx(place, abs=0.05)
            return place

        send(("TEMPO", 90.0), *play_state(plays=False), *at_place(64.0, 62.67))
        service.pump(told)
        assert service.transport.take_happened() == ["Located"]
        paused = play(10 * S, 64.0)
        assert service.transport.take_happened() == ["SourceChanged", "Started"]
        assert service.transport.tempo_bpm == pytest.approx(90.0)
        send(*play_state(plays=False, pauses=True), *at_place(64.0, 62.67))
        service.pump(15 * S)
        assert service.transport.take_happened() == ["Stopped", "Located"]
        play(25 * S, paused)
        assert service.transport.take_happened() == ["Started"]
        assert service.server.counts.refused == 0
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
