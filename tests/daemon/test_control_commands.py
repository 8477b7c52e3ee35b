"""What requests and mapped commands do, beyond what each has its own tests for."""

from __future__ import annotations

from typing import Any

import pytest
from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport
from session_stage import events, ms, onsets_ms, play_note, running

from rwkv_music.model.scripted import ScriptedModel

SUBSCRIBER = ("127.0.0.1", 9005)


def test_without_a_worker_it_is_told_so() -> None:
    r = running()
    r.conductor.worker_down(0)
    r.control.welcome(SUBSCRIBER)
    assert ("/rwkv/worker", ("down",)) in r.replies()


@pytest.mark.parametrize(
    ("command", "first_ms"),  # two bars each from the next line on; after a bar of silence; never
    [("mode_trade", [6000]), ("mode_auto", [6000]), ("mode_manual", [])],
)
def test_a_pedal_can_choose_the_mode(command: str, first_ms: list[float]) -> None:
    r = running(bars=2)
    r.conductor.set_mode("auto" if command == "mode_manual" else "manual", 1, 1)
    r.control.command(command, r.clock.now_ns())
    play_note(r, 2100, 50, 100)
    r.run_until_ns(ms(8400))
    assert onsets_ms(r)[:1] == pytest.approx(first_ms, abs=0.01)


def test_a_command_that_cannot_be_carried_out_is_told_to_the_subscribers() -> None:
    r = running()
    r.control.command("undo", r.clock.now_ns())
    ((code, text, address),) = events(r, "/rwkv/error")
    assert (code, address) == (406, "/rwkv/undo")
    assert "no completion" in text


def told(source: str, *requests: tuple[Any, ...]) -> Rehearsal:
    r = Rehearsal(ScriptedModel(), Generation(), Transport(120.0, None, source))
    for address, *args in requests:
        r.ask(f"/rwkv/transport/{address}", *args)
    return r


def test_what_midi_clock_leads_is_not_stopped_over_osc() -> None:
    r = told("midi_clock")
    r.transport.midi_start(0)
    for tick in range(49):
        r.run_until_ns(ms(tick * 500 / 24))
        r.transport.midi_tick(r.clock.now_ns())
    r.ask("/rwkv/transport/stop")
    ((address, args),) = r.replies()
    assert (address, args[0]) == ("/rwkv/error", 406)
    assert r.transport.playing
