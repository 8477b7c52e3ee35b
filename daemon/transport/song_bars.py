"""The bars of a song: numbered anew at a jump, and as the host tells them. Pure."""

from __future__ import annotations

from rwkv_music.music import Meter

from .meters import BarSpan, MeterMap

_NEAR_BEATS = 0.5  # a host tells its bar so much before or after we come to it
_FRESH_NS = 20_000_000_000  # what a host told by then holds after a jump; it tells every bar
_JUMPED_NS = 2_000_000_000  # a meter that is told so soon after a jump is that of the place
_TOP_BEATS = 0.25


class SongBars:
    """A meter map, and what is known of it from outside.

    Without a host that tells its bars, they are counted after a jump as if the present meter had
    always held. With one they are counted from the bar that it told last: that is the one jumped
    into where it tells it before the jump, and one of the same song where it does so after.
    """

    def __init__(self, meter: Meter) -> None:
        self._map = MeterMap(meter)
        self._host_bar: BarSpan | None = None
        self._told_ns = 0
        self._guessed_ns: int | None = None  # when they were last counted anew without a host's
        self._bbt_number: int | None = None  # of the bar that was told since by its number alone

    @property
    def latest(self) -> Meter:
        """The meter that will hold in the end."""
        return self._map.latest

    def bar_at(self, beat: float) -> BarSpan:
        return self._map.bar_at(beat)

    def bar(self, number: int) -> BarSpan:
        return self._map.bar(number)

    def beat_of(self, bar: int, beat: float) -> float:
        """A place told in bars and the meter's own beats, both counted from 1."""
        return self._map.beat_of(bar, beat)

    def note_number(self, number: int) -> None:
        """We are in the bar of that number, whatever its line may be."""
        self._bbt_number = number

    def change(self, meter: Meter, beat: float, t_ns: int, *, playing: bool) -> None:
        """Let `meter`, told at `beat`, hold from the next bar line on; within the first beat of a
        bar, or soon after a jump while nothing plays, from the line of that bar."""
        jumped = self._guessed_ns is not None and t_ns - self._guessed_ns < _JUMPED_NS
        at_once = jumped and not playing  # in a bar that runs there may be notes beyond its new end
        if at_once and self._bbt_number is not None:
            beat = self._map.bar(self._bbt_number).start_beat  # it may be longer than was thought
        self._map.change(meter, beat, at_once=at_once)

    def restart(self, beat: float, t_ns: int, *, has_host: bool) -> None:
        """Count anew around `beat`, to which the music jumps; has_host: in the song of the host."""
        self._map.restart()
        self._guessed_ns, self._bbt_number = t_ns, None
        bar = self._host_bar if t_ns - self._told_ns <= _FRESH_NS else None
        if bar is None or not has_host or beat < _TOP_BEATS:
            return
        self._map.restart(bar)
        if self._map.bar_at(beat).number < 0:  # between there and here another meter holds
            self._map.restart(BarSpan(0, 0.0, bar.meter))
        else:
            self._guessed_ns = None

    def keep_host_bar(self, bar: BarSpan, t_ns: int) -> None:
        """The bar that the host is in, or jumps into with the position that it tells next."""
        self._host_bar, self._told_ns = bar, t_ns

    def take_host_bar(self, beat: float) -> None:
        """Let it count at once where that is the bar of `beat`, our place in its song."""
        bar = self._host_bar
        if bar is None or not bar.start_beat - _NEAR_BEATS <= beat < bar.end_beat + _NEAR_BEATS:
            return
        if self._map.has_line_of(bar):
            self._map.change(bar.meter, bar.start_beat, at_once=True)
        else:
            self._map.restart(bar)
