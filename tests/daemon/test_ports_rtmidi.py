"""Which port of Windows' list is meant."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.ports.rtmidi import index_of

from rwkv_music.errors import PortError


def test_a_port_is_found_by_name_though_windows_numbers_it() -> None:
    names = ["Microsoft GS Wavetable Synth 0", "My RWKV Music In 1", "RWKV Music In 2"]
    assert index_of("RWKV Music In", names, "winmm") == 2
    assert index_of("RWKV Music In", names[:2], "winmm") == 1
    assert index_of("RWKV Music In", [*names, "RWKV Music In"], "winmm") == 3


def test_a_port_that_is_not_there_is_told_with_what_is_and_what_to_do() -> None:
    with pytest.raises(PortError, match=r"Wavetable.*loopMIDI"):
        index_of("RWKV Music In", ["Microsoft GS Wavetable Synth 0"], "winmm")
