"""A player at random: strikes, holds, triggers and stops in a Rehearsal, for the invariants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
from rwkv_music_daemon.assembled_bar import AssembledBar
from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.rehearsal import Rehearsal

from rwkv_music.model.protocol import BarRequest, MusicModel
from rwkv_music.model.scripted import ScriptedModel, ScriptedProposal, ScriptedState
from rwkv_music.music import Meter, Note
from rwkv_music.session import HeardNote, Session
from rwkv_music.timebase import NS_PER_MS, NS_PER_S

_DEEDS = ["press"] * 6 + ["lift"] * 6 + ["trigger"] * 2
_DEEDS += ["stop", "undo", "takes", "choose", "again", "jump", "loop", "meter", "set"]
_SETTINGS = [
    ("density", 0.4),
    ("density", 2.5),
    ("pitch_low", 60),
    ("pitch_low", 21),
    ("let_ring", 1),
]
_SETTINGS += [("horizon_beats", 0.5), ("horizon_beats", 7), ("nudge_ms", -200), ("nudge_ms", 20)]
_SETTINGS += [("channel_out", 1), ("channel_out", 2), ("grid", "triplets"), ("overlap", "merge")]
_WAITS_MS = (0, 5, 40, 150, 600)
_A_WHILE_NS, _RINGS_NS = NS_PER_S, 10 * NS_PER_S  # a note may last eight slow beats


class Sparse(ScriptedModel):
    """Plays in every other bar only, where it may."""

    _begun = 0

    def begin(
        self, state: ScriptedState, request: BarRequest, rng: np.random.Generator
    ) -> ScriptedProposal:
        self._begun += 1
        if self._begun % 2 or request.needs_note:
            return super().begin(state, request, rng)
        return ScriptedProposal(state, request.after, [])


def perform(
    rehearsal: Rehearsal, random: Random, deeds: int, look: Callable[[], None] = lambda: None
) -> None:
    """Do that many things at random moments, and `look` now and then, keys down or not; then let
    every key go and wait for the end."""
    now_ms, down = 0.0, set[int]()
    for number in range(deeds):
        if number % 8 == 5:
            look()
        now_ms += random.choice(_WAITS_MS)
        rehearsal.run_until_ns(round(now_ms * NS_PER_MS))
        match random.choice(_DEEDS):
            case "press":
                pitch = random.randint(55, 66)
                down.add(pitch)
                rehearsal.play(bytes((0x90, pitch, random.randint(1, 127))))
            case "lift" if down:
                pitch = random.choice(sorted(down))
                down.discard(pitch)
                rehearsal.play(bytes((0x80, pitch, 0)))
            case "trigger":
                rehearsal.conductor.trigger(rehearsal.clock.now_ns())
            case "takes":
                rehearsal.conductor.trigger(rehearsal.clock.now_ns(), None, random.randint(2, 4))
            case "choose":
                with suppress(OscError):  # there may be no takes, or not that many
                    rehearsal.conductor.select(rehearsal.clock.now_ns(), random.randint(0, 3))
            case "again":
                with suppress(OscError):
                    rehearsal.conductor.regenerate(rehearsal.clock.now_ns())
            case "stop":
                rehearsal.conductor.stop(rehearsal.clock.now_ns())
            case "jump":
                _go_to(rehearsal, random.choice((0.0, 4.0, random.uniform(0, 40))))
            case "loop":  # from the next bar line on
                beat = rehearsal.transport.beat_at(rehearsal.clock.now_ns())
                line = rehearsal.transport.bar_at(beat).end_beat
                wait_ns = rehearsal.transport.ns_at(line) - rehearsal.clock.now_ns()
                late_ns = random.choice((0, 7, 20)) * NS_PER_MS
                now_ms += (wait_ns + late_ns) / NS_PER_MS
                rehearsal.run_until_ns(round(now_ms * NS_PER_MS))
                beat = rehearsal.transport.beat_at(rehearsal.clock.now_ns())
                _go_to(rehearsal, max(beat - line, 0.0))
            case "meter":
                meter = random.choice((Meter(4, 4), Meter(3, 4), Meter(7, 8)))
                rehearsal.transport.set_meter(meter, rehearsal.clock.now_ns())
            case "set":
                name, value = random.choice(_SETTINGS)
                rehearsal.ask(f"/rwkv/set/{name}", value)
            case "undo":
                with suppress(OscError):  # there may be nothing to undo
                    rehearsal.conductor.undo(rehearsal.clock.now_ns())
    for pitch in sorted(down):
        rehearsal.play(bytes((0x80, pitch, 0)))
    _let_end(rehearsal)


def _let_end(rehearsal: Rehearsal) -> None:
    """Let what is armed or plays come to its end and ring down, and a silent bar pass."""
    clock, transport = rehearsal.clock, rehearsal.transport
    rehearsal.run_until_ns(clock.now_ns() + _A_WHILE_NS)
    while rehearsal.conductor.state in ("armed", "playing"):
        rehearsal.run_until_ns(clock.now_ns() + _A_WHILE_NS)
    rings_until_ns = clock.now_ns() + _RINGS_NS
    while rehearsal.output.sounding and clock.now_ns() < rings_until_ns:
        rehearsal.run_until_ns(clock.now_ns() + _A_WHILE_NS)
    bar = transport.bar_at(transport.beat_at(clock.now_ns()))
    rehearsal.run_until_ns(transport.ns_at(transport.bar(bar.number + 2).start_beat) + _A_WHILE_NS)


def _go_to(rehearsal: Rehearsal, beat: float) -> None:
    now_ns = rehearsal.clock.now_ns()
    rehearsal.transport.start_internal(beat, now_ns)
    rehearsal.conductor.follow_transport(now_ns)


def fresh_state(
    rehearsal: Rehearsal, model: MusicModel[Any], bars: Sequence[AssembledBar] = ()
) -> Any:
    """The state of a session that is told once what the rehearsal's assembler has heard: these
    bars, or those that it remembers."""
    session: Session[Any] = Session(model)
    for bar in bars or rehearsal.conductor.assembler.bars:
        if not (bar.notes or bar.is_silence):
            continue
        notes = [
            HeardNote(Note(n.onset, n.pitch, n.velocity, n.duration), n.held) for n in bar.notes
        ]
        session.hear(bar.serial, bar.meter, bar.tempo_bpm, notes, closed=bar.closed)
    return session.fork()
