"""Which port of Windows' list is meant, and which MIDI system."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.ports import rtmidi as ports
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


def test_auto_takes_the_first_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(ports, "unavailable", lambda api: None if api == "jack" else "not here")
    monkeypatch.setattr(ports, "RtMidiSystem", lambda api, clock: taken.append(api))
    ports.open_system("auto", ManualClock())
    assert taken == ["jack"]


def test_without_any_system_every_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "unavailable", lambda api: "not here")
    with pytest.raises(PortError, match=r"alsa: not here.*modprobe.*jack: not here.*pw-jack"):
        ports.open_system("auto", ManualClock())


def test_systems_of_other_platforms_are_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.sys, "platform", "linux")
    monkeypatch.setattr(ports, "unavailable", lambda api: "not here")
    with pytest.raises(PortError) as caught:
        ports.open_system("auto", ManualClock())
    assert "macOS" not in str(caught.value)
    assert ports.apis_here() == ("alsa", "jack")


def test_an_unknown_system_is_named() -> None:
    with pytest.raises(PortError, match=r"'oss'.*alsa"):
        ports.open_system("oss", ManualClock())
