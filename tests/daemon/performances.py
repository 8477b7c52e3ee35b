"""A player at random: strikes, holds, triggers and stops in a Rehearsal, for the invariants."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

from rwkv_music_daemon.osc.arguments import OscError
from rwkv_music_daemon.rehearsal import Rehearsal

from rwkv_music.model.protocol import MusicModel
from rwkv_music.music import Note
from rwkv_music.session import HeardNote, Session
from rwkv_music.timebase import NS_PER_MS

_DEEDS = ["press"] * 6 + ["lift"] * 6 + ["trigger"] * 2
_DEEDS += ["stop", "undo", "takes", "choose", "again"]
_WAITS_MS = (0, 5, 40, 150, 600)


def perform(rehearsal: Rehearsal, random: Random, deeds: int) -> None:
    """Do that many things at random moments, then let every key go and wait for the end."""
    now_ms, down = 0.0, set[int]()
    for _ in range(deeds):
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
            case "undo":
                with suppress(OscError):  # there may be nothing to undo
                    rehearsal.conductor.undo(rehearsal.clock.now_ns())
    for pitch in sorted(down):
        rehearsal.play(bytes((0x80, pitch, 0)))
    rehearsal.run_until_ns(round((now_ms + 20_000) * NS_PER_MS))


def fresh_state(rehearsal: Rehearsal, model: MusicModel[Any]) -> Any:
    """The state of a session that is told once what the rehearsal's assembler has heard."""
    session: Session[Any] = Session(model)
    for bar in rehearsal.conductor.assembler.bars:
        notes = [
            HeardNote(Note(n.onset, n.pitch, n.velocity, n.duration), n.held) for n in bar.notes
        ]
        session.hear(bar.serial, bar.meter, bar.tempo_bpm, notes, closed=bar.closed)
    return session.fork()
