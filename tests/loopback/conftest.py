"""Real MIDI systems for the tests of this folder.

Where a program is missing its tests are skipped with the reason; with RWKV_MUSIC_REAL=1, as in
CI, they fail instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for benchmarks.rig

from real_programs import missing, need_program

from benchmarks.rig import JackServer, Probe, Synthesizer, sound_font


@pytest.fixture(scope="module")
def jack_server() -> Iterator[JackServer]:
    """A JACK server of this module's own, at a period of 64 frames."""
    need_program("jackd", "jackd2")
    with JackServer(period=64) as server:
        yield server


@pytest.fixture
def probe(jack_server: JackServer) -> Iterator[Probe]:
    with Probe(jack_server.env) as probe:
        yield probe


@pytest.fixture
def synthesizer(jack_server: JackServer) -> Iterator[Synthesizer]:
    need_program("fluidsynth", "fluidsynth")
    if sound_font() is None:
        missing("no sound font is installed (apt-get install timgm6mb-soundfont)")
    with Synthesizer(jack_server.env) as synthesizer:
        yield synthesizer
