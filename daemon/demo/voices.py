"""What is left of a demo: the player's voice and ours, bar by bar."""

from __future__ import annotations

from rwkv_music.music import Bar, Note, Phrase, canonical

from ..assembled_bar import AssembledBar, Voice
from .performance import Performance
from .stage import Outcome

NAMES = {Voice.PLAYER: "Player", Voice.MODEL: "RWKV Music"}


def voices(outcome: Outcome, performance: Performance, bars: int) -> dict[str, Phrase]:
    """Both voices over the performance and `bars` bars more, as the model has heard them."""
    heard = {bar.number: bar for bar in outcome.bars}
    numbers = range(performance.bars + bars)
    return {
        name: tuple(_bar(heard.get(number), voice, performance) for number in numbers)
        for voice, name in NAMES.items()
    }


def _bar(heard: AssembledBar | None, voice: Voice, performance: Performance) -> Bar:
    notes = () if heard is None else heard.notes
    return Bar(
        performance.meter,
        performance.tempo_bpm,
        canonical(
            Note(note.onset, note.pitch, note.velocity, note.duration)
            for note in notes
            if note.voice is voice
        ),
    )
