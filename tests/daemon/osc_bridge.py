"""A DAW that tells its position over OSC."""

from __future__ import annotations

import random

from rwkv_music_daemon.transport import Transport

S = 1_000_000_000
T0 = 50 * S


def kinds(transport: Transport) -> list[type]:
    return [type(change) for change in transport.take_changes()]


def bridge(
    transport: Transport,
    from_ns: int,
    beat: float,
    seconds: float,
    tempo_bpm: float = 120.0,
    hz: int = 30,
    seed: int = 1,
) -> tuple[int, float]:
    """Positions as a DAW's screen timer sends them: each late by up to 15 ms. When it ends, and
    the true beat there."""
    draw = random.Random(seed)
    for k in range(round(seconds * hz)):
        at_ns = from_ns + k * S // hz
        told = beat + (at_ns - from_ns) * tempo_bpm / 60e9
        transport.osc_position(told, at_ns + draw.randrange(15_000_000))
    return from_ns + round(seconds * S), beat + seconds * tempo_bpm / 60


def led_from(beat: float) -> Transport:
    """One that a DAW has started there, in the tempo that it tells."""
    transport = Transport(120.0)
    transport.osc_tempo(120.0, T0)
    transport.osc_position(beat, T0)
    transport.play(T0)
    return transport
