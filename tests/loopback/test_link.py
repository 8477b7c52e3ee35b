"""Ableton Link for real: two peers and the service agree on tempo, phase, start and stop.

Link speaks on every network of a machine, and everybody in a session is heard by everybody. So all
of this is on a network that the test makes for itself and nobody else sees.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from real_programs import missing, need_program

ROUNDS = Path(__file__).with_name("link_rounds.py")
NETWORK = ["unshare", "--net", "--map-root-user"]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    need_program("jackd", "jackd2")
    need_program("ip", "iproute2")
    if importlib.util.find_spec("link") is None:
        missing("LinkPython-extern is not installed (pip install 'rwkv-music[link]')")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*NETWORK, "true"], check=False).returncode
    ):
        pytest.skip("this machine lets nobody make a network of their own")
    done = subprocess.run(
        [*NETWORK, sys.executable, str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_all_three_are_in_one_session(found: dict[str, Any]) -> None:
    assert found["all see two others"]
    assert found["its tempo"]
    assert found["source"] == "link"


def test_their_bars_are_ours(found: dict[str, Any]) -> None:
    for key in ("phases ms", "phases then ms"):
        assert len(found[key]) == 2
        assert max(map(abs, found[key])) < 2, found


def test_a_completion_begins_on_their_bar_line(found: dict[str, Any]) -> None:
    assert abs(found["first note ms"]) < 10, found  # JACK's way to the listener is in it


def test_a_tempo_goes_both_ways(found: dict[str, Any]) -> None:
    assert found["a new tempo"]
    assert found["we set the tempo"]


def test_start_and_stop_go_both_ways(found: dict[str, Any]) -> None:
    assert found["they start us"]
    assert found["from bar 0"]
    assert found["they stop us"]
    assert found["we start them"]


def test_when_they_leave_it_goes_on_without_a_jump(found: dict[str, Any]) -> None:
    assert found["it falls back"]
    assert abs(found["jump beats"]) < 0.1, found
