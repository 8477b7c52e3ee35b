"""Who decides when to play. Pure: told of bars and beats, answers whether to play.

`manual`: requests alone. `trade`: turns of bars. `auto`: after a bar of the player's silence.
"""

from __future__ import annotations

from dataclasses import dataclass

from .assembled_bar import Voice


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose bar it is, and how many bars of the turn are left, this one included."""

    who: Voice
    bars_left: int


@dataclass(frozen=True, slots=True)
class Trade:
    """The player has `listen_bars`, then we have `play_bars`, and so on from bar `first` on."""

    listen_bars: int
    play_bars: int
    first: int

    def turn(self, bar: int) -> Turn:
        """Whose bar this is; a bar before `first` is the player's."""
        if bar < self.first:
            return Turn(Voice.PLAYER, self.first - bar + self.listen_bars)
        place = (bar - self.first) % (self.listen_bars + self.play_bars)
        if place < self.listen_bars:
            return Turn(Voice.PLAYER, self.listen_bars - place)
        return Turn(Voice.MODEL, self.listen_bars + self.play_bars - place)

    def plays_after(self, bar: int) -> bool:
        """Whether our turn begins at the end of this bar."""
        return self.turn(bar) == Turn(Voice.PLAYER, 1)


@dataclass(frozen=True, slots=True)
class Auto:
    """Plays when a phrase has ended."""

    def plays(self, has_news: bool, silent_beats: float, bar_beats: float) -> bool:
        """Whether the player has played since our last turn, and been silent for a bar."""
        return has_news and silent_beats >= bar_beats


Mode = Trade | Auto | None


def mode_named(name: str, listen_bars: int, play_bars: int, first: int) -> Mode:
    """The mode that a request asks for; `first` is where turns begin."""
    if name == "trade":
        return Trade(listen_bars, play_bars, first)
    return Auto() if name == "auto" else None
