"""Which MIDI system is taken, and through what."""

from __future__ import annotations

import logging

import pytest
from rwkv_music_daemon.clock import ManualClock
from rwkv_music_daemon.ports import apis, jack_extension, rtmidi, systems

from rwkv_music.errors import PortError


class Opened:
    """In the place of a system that works."""

    def __init__(self, *how: object) -> None:
        self.how = how


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(apis.sys, "platform", "linux")
    monkeypatch.setattr(rtmidi, "unavailable", lambda api: "not here")
    monkeypatch.setattr(jack_extension, "module", None)
    return monkeypatch


def test_auto_takes_the_first_that_works(linux: pytest.MonkeyPatch) -> None:
    linux.setattr(rtmidi, "unavailable", lambda api: None if api == "jack" else "not here")
    linux.setattr(jack_extension, "module", object())
    linux.setattr(systems.jack_system, "JackSystem", Opened)
    assert isinstance(systems.open_system("auto", ManualClock()), Opened)


def test_without_our_client_jack_is_reached_through_python_rtmidi_and_that_is_told(
    linux: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    linux.setattr(jack_extension, "absence", "no compiler was there")
    linux.setattr(systems.rtmidi, "RtMidiSystem", Opened)
    with caplog.at_level(logging.WARNING):
        system = systems.open_system("jack", ManualClock())
    assert isinstance(system, Opened)
    assert system.how[0] == "jack"
    assert "not with their frame: no compiler was there" in caplog.text


def test_without_any_system_every_remedy_is_told(linux: pytest.MonkeyPatch) -> None:
    with pytest.raises(PortError, match=r"alsa: not here.*modprobe.*jack: not here.*pw-jack"):
        systems.open_system("auto", ManualClock())


def test_systems_of_other_platforms_are_not_told_of(linux: pytest.MonkeyPatch) -> None:
    with pytest.raises(PortError) as caught:
        systems.open_system("auto", ManualClock())
    assert "macOS" not in str(caught.value)
    assert apis.apis_here() == ("alsa", "jack")


def test_an_unknown_system_is_named() -> None:
    with pytest.raises(PortError, match=r"'oss'.*alsa"):
        systems.open_system("oss", ManualClock())
