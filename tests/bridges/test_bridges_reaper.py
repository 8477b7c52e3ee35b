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


@needs_lua
@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.lua")), ids=lambda path: path.name)
def test_every_script_is_lua(script: Path) -> None:
    code = "assert(loadfile(arg[1]))"
    done = subprocess.run(["lua5.4", "-", str(script)], input=code, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@needs_lua
@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "reset"])
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
    settings = {"rwkv_music.program": "/nowhere/rwkv music"}
    happened = make_reaper(None).run("rwkv_trigger.lua", settings=settings)
    ((shown,),) = kinds(happened, "tooltip")
    assert "/nowhere/rwkv music cannot be started" in shown


@needs_lua
def test_midi_is_set_up_by_learning_and_then_used(make_reaper: Callable[..., Reaper]) -> None:
    service = BridgeService()
    reaper = make_reaper(service)
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
def test_the_service_learns_what_midi_setup_asks_for(make_reaper: Callable[..., Reaper]) -> None:
    service = BridgeService()
    happened = make_reaper(service).run("rwkv_midi_setup.lua", outputs=["RWKV Music In"])
    assert service.named("learn") == [(command,) for command in sorted(COMMANDS)]
    assert "now go over MIDI" in kinds(happened, "box")[0][1]


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
    reaper = make_reaper(BridgeService())
    happened = reaper.run("rwkv_music.lua", input=str(reaper.program))
    assert kinds(happened, "asked")[0][1] == str(reaper.program)
    assert kinds(happened, "setting")[0][:2] == ["rwkv_music.program", str(reaper.program)]
    assert kinds(happened, "box")[0][1].startswith("The service answers: /rwkv/status idle ")


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
