"""Requests for the transport and for subscribers, as they are carried out."""

from __future__ import annotations

import pytest
from rwkv_music_daemon.parameters import PARAMETERS
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import in_mid_note, ms, play_note, rehearsal, running

from rwkv_music.model.scripted import ScriptedModel

SUBSCRIBER = ("127.0.0.1", 9001)


def status(r: Rehearsal) -> tuple[object, ...]:
    r.ask("/rwkv/status")
    ((address, args),) = r.replies()
    assert address == "/rwkv/status"
    return args


def test_continue_goes_on_where_it_was_stopped() -> None:
    r = running()
    r.run_until_ns(ms(2750))
    r.ask("/rwkv/transport/stop")
    r.run_until_ns(ms(5000))
    assert status(r)[:3] == ("idle", 1, pytest.approx(5.5))
    r.ask("/rwkv/transport/continue")
    assert r.conductor.state == "listening"
    r.run_until_ns(ms(6000))
    assert status(r)[:3] == ("listening", 1, pytest.approx(7.5))
    r.ask("/rwkv/transport/continue")  # it runs already
    r.run_until_ns(ms(6500))
    assert status(r)[:3] == ("listening", 2, pytest.approx(8.5))
    assert r.replies() == []


def test_a_clock_that_was_told_to_continue_is_not_ours_to_stop() -> None:
    r = rehearsal()
    play_note(r, 0, 60, 100)
    r.ask("/rwkv/transport/continue")
    r.run_until_ns(ms(30_000))
    assert r.transport.playing


def test_seconds_are_a_position_at_the_tempo_that_was_told() -> None:
    r = Rehearsal(ScriptedModel(), transport=Transport(120.0))
    r.ask("/rwkv/transport/tempo", 90.0)
    r.ask("/rwkv/transport/seconds", 4.0)
    assert status(r)[1:4] == (1, pytest.approx(6.0), 90.0)
    r.ask("/rwkv/transport/play")
    for at_ms in range(0, 2000, 40):
        r.run_until_ns(ms(at_ms))
        r.ask("/rwkv/transport/seconds", 4.0 + at_ms / 1000)
    expected = ("listening", 2, pytest.approx(8.94, abs=0.02), 90.0, 4, 4, "osc")
    assert status(r)[:7] == expected


def test_seconds_are_not_looked_at_where_bars_are_told() -> None:
    r = Rehearsal(ScriptedModel(), transport=Transport(120.0))
    r.ask("/rwkv/transport/bbt", "3.1.00")
    r.ask("/rwkv/transport/seconds", 60.0)
    assert status(r)[1:3] == (2, 8.0)


def test_a_new_subscriber_is_told_the_current_values() -> None:
    r = in_mid_note()
    r.ask("/rwkv/set/temperature", 0.5)
    r.replies()
    r.control.welcome(SUBSCRIBER)
    told = {address: args for receiver, address, args in r.control.replies}
    assert {receiver for receiver, _, _ in r.control.replies} == {SUBSCRIBER}
    assert told.pop("/rwkv/state") == ("playing",)
    assert told.pop("/rwkv/worker") == ("up",)
    assert told.pop("/rwkv/param/temperature") == (0.5,)
    assert told.pop("/rwkv/learning") == ("", 0)
    assert set(told) == {f"/rwkv/param/{name}" for name in PARAMETERS} - {"/rwkv/param/temperature"}
