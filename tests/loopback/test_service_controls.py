"""The real service on JACK in the hands of programs that are not ours: liblo's and Pure Data."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from live_stage import WITHIN_S, Stage, live_stage, note_ons, sounding, wait_for
from pure_data import PureData
from real_programs import need_program

from benchmarks.rig import JackServer, free_udp_port


@pytest.fixture(scope="module")
def stage(jack_server: JackServer) -> Iterator[Stage]:
    with live_stage(jack_server) as stage:
        yield stage


class OscDump:
    """What liblo's oscdump prints of the events that come to its port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_udp_port()
        self._output = folder / "oscdump.txt"
        self._read = 0  # lines
        with self._output.open("w", encoding="utf-8") as output:
            self._process = subprocess.Popen(["oscdump", "-L", str(self.port)], stdout=output)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def hears(self, address: str, within_s: float = WITHIN_S) -> list[str]:
        """The types and arguments of the next event of that address; none where none comes."""
        ends_s = time.monotonic() + within_s
        while time.monotonic() < ends_s:
            lines = self._output.read_text(encoding="utf-8").split("\n")[self._read : -1]
            for line in lines:
                self._read += 1
                words = line.split()
                if address in words:
                    return words[words.index(address) + 1 :]
            time.sleep(0.01)
        return []


def test_liblo_triggers_hears_and_stops(stage: Stage, tmp_path: Path) -> None:
    need_program("oscsend", "liblo-tools")

    def oscsend(address: str, *args: str) -> None:
        port = str(stage.service.osc_port)
        subprocess.run(["oscsend", "127.0.0.1", port, address, *args], check=True)

    stage.probe.heard()
    with closing(OscDump(tmp_path)) as dump:

        def is_subscribed() -> bool:
            oscsend("/rwkv/subscribe", "i", str(dump.port))  # again until it listens
            return bool(dump.hears("/rwkv/state", 0.5))

        wait_for(is_subscribed, "oscdump hears nothing")
        oscsend("/rwkv/trigger", "i", "2")
        types, request, _, pitch, velocity, _ = dump.hears("/rwkv/note/played")
        assert (types, pitch) == ("ifiif", "60")
        oscsend("/rwkv/stop")
        assert dump.hears("/rwkv/done")[1] == request
    expect_one_note(stage, int(velocity))


def test_pure_data_triggers_hears_and_stops(stage: Stage, tmp_path: Path) -> None:
    need_program("pd", "puredata-core")
    stage.probe.heard()
    with closing(PureData(tmp_path, stage.service.osc_port)) as pd:
        pd.wait(lambda: "heard: state" in pd.said())
        pd.send("rwkv-trigger-bars 2")
        pd.wait(lambda: "heard: note played " in pd.said())
        pd.send("rwkv-stop bang")
        pd.wait(lambda: "heard: done " in pd.said())
        note = pd.said().partition("heard: note played ")[2].splitlines()[0]
    _, _, pitch, velocity, _ = note.split()
    assert pitch == "60"
    expect_one_note(stage, int(velocity))


def expect_one_note(stage: Stage, velocity: int) -> None:
    """That one was heard on the service's port, and released."""
    heard: list[tuple[int, bytes]] = []

    def is_over() -> bool:
        heard.extend(stage.probe.heard())
        return bool(note_ons(heard)) and not sounding(heard)

    wait_for(is_over, "the note hangs, or was never struck")
    assert note_ons(heard) == [60]
    assert [m[2] for _, m in heard if m[0] & 0xF0 == 0x90 and m[2]] == [velocity]
