"""A rehearsal to play on, and what to read from it: for the tests of whole sessions."""

from __future__ import annotations

from typing import Any

from rwkv_music_daemon.parameters import Generation
from rwkv_music_daemon.rehearsal import Rehearsal
from rwkv_music_daemon.transport import Transport

from rwkv_music.model.scripted import ScriptedModel
from rwkv_music.music import Meter
from rwkv_music.timebase import NS_PER_MS

BEAT_MS = 500  # at 120


def ms(value: float) -> int:
    return round(value * NS_PER_MS)


def rehearsal(
    script: str = "", meter: Meter | None = None, tempo_bpm: float = 120.0, **generation: Any
) -> Rehearsal:
    """Two bars a completion, unless said otherwise; the transport stands still."""
    transport = Transport(tempo_bpm, meter, "internal")
    wishes = Generation(**{"bars": 2, **generation})
    return Rehearsal(ScriptedModel(script), wishes, transport)


def running(script: str = "", **generation: Any) -> Rehearsal:
    """The same, with the transport started at 0 ns."""
    started = rehearsal(script, **generation)
    started.transport.play(0)
    started.step()
    return started


def press(pitch: int, velocity: int = 80) -> bytes:
    return bytes((0x90, pitch, velocity))


def lift(pitch: int) -> bytes:
    return bytes((0x80, pitch, 0))


def play_note(r: Rehearsal, at_ms: float, pitch: int, length_ms: float) -> None:
    r.play(press(pitch), ms(at_ms))
    r.play(lift(pitch), ms(at_ms + length_ms))


def events(r: Rehearsal, address: str) -> list[tuple[Any, ...]]:
    return [args for _, name, args in r.events if name == address]


def onsets_ms(r: Rehearsal) -> list[float]:
    return [t / NS_PER_MS for t, message in r.sent if message[0] & 0xF0 == 0x90 and message[2]]


def hung(r: Rehearsal) -> set[int]:
    """Pitches that sound after everything that was sent."""
    sounding: set[int] = set()
    for _, message in r.sent:
        if message[0] & 0xF0 == 0x90 and message[2]:
            sounding.add(message[1])
        elif message[0] & 0xF0 in (0x80, 0x90):
            sounding.discard(message[1])
    return sounding


def heard_bars(r: Rehearsal) -> list[list[tuple[int, int, int, str]]]:
    return [
        sorted((n.onset, n.pitch, n.duration, str(n.voice)) for n in bar.notes)
        for bar in r.conductor.assembler.bars
    ]


def in_mid_note() -> Rehearsal:
    r = running(bars=2)
    r.run_until_ns(ms(500))
    r.conductor.trigger(r.clock.now_ns())
    r.run_until_ns(ms(2750))
    assert hung(r) == {61}
    return r
