"""The bars of a song: numbered anew at a jump, and as the host tells them. Pure."""

from __future__ import annotations

from rwkv_music.music import Meter

from .meters import BarSpan, MeterMap

_NEAR_BEATS = 0.5  # a host tells its bar so much before or after we come to it
_EARLY_BEATS = 2.0  # and a program that a script starts for it, so much before its line
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
        self._bbt: tuple[int, float] | None = None  # told since: a bar, beats into it

    @property
    def latest(self) -> Meter:
        """The meter that will hold in the end."""
        return self._map.latest

    def bar_at(self, beat: float) -> BarSpan:
        return self._map.bar_at(beat)

    def bar(self, number: int) -> BarSpan:
        return self._map.bar(number)

    def change(self, meter: Meter, beat: float, t_ns: int, *, playing: bool) -> None:
        """Let `meter`, told at `beat`, hold from the next bar line on; within the first beat of a
        bar, or soon after a jump while nothing plays, from the line of that bar."""
        if self._host_bar is not None and self._host_bar.meter != meter:
            self._host_bar = None  # somebody knows better
        jumped = self._guessed_ns is not None and t_ns - self._guessed_ns < _JUMPED_NS
        at_once = jumped and not playing  # in a bar that runs there may be notes beyond its new end
        if at_once and self._bbt is not None:
            beat = self._map.bar(self._bbt[0]).start_beat  # it may be longer than was thought
        self._map.change(meter, beat, at_once=at_once)

    def restart(self, beat: float, t_ns: int, *, has_host: bool) -> None:
        """Count anew around `beat`, to which the music jumps; has_host: in the song of the host."""
        self._map.restart()
        self._guessed_ns, self._bbt = t_ns, None
        bar = self._fresh_host_bar(t_ns)
        if bar is None or not has_host or beat < _TOP_BEATS:
            return
        self._map.restart(bar)
        if self._map.bar_at(beat).number < 0:  # between there and here another meter holds
            self._map.restart(BarSpan(0, 0.0, bar.meter))
        else:
            self._guessed_ns = None

    # --- a host that tells its bars ---

    def keep_host_bar(self, bar: BarSpan, t_ns: int) -> None:
        """The bar that the host is in, or jumps into with the position that it tells next."""
        self._host_bar, self._told_ns = bar, t_ns

    def take_host_bar(self, beat: float, *, by_number: bool) -> None:
        """Let it count at once where that is the bar of `beat`, our place in its song, or the next
        one. by_number: our places are told in bars, so that another line says nothing."""
        bar = self._host_bar
        if bar is None or beat >= bar.end_beat + _NEAR_BEATS:
            return
        early = bar.start_beat - beat
        if self._map.has_line_of(bar) and early <= _EARLY_BEATS:
            self._map.change(bar.meter, bar.start_beat, at_once=True)
        elif early <= _NEAR_BEATS and not by_number:
            self._map.restart(bar)

    def _fresh_host_bar(self, t_ns: int) -> BarSpan | None:
        return self._host_bar if t_ns - self._told_ns <= _FRESH_NS else None

    # --- places that are told in bars, as REAPER does ---

    def beat_of(self, bar: int, beat: float) -> float:
        """A place told in bars and the meter's own beats, both counted from 1."""
        return self._map.beat_of(bar, beat)

    def place_anew(self, bar: int, beat: float, t_ns: int) -> tuple[BarSpan, float]:
        """The bar and the beat of such a place, to which the music jumps: counted from the bar
        that the host told last, or as if the present meter had always held."""
        anew = MeterMap(self.latest)
        host = self._fresh_host_bar(t_ns)
        if host is not None:
            anew.restart(host)
            if anew.bar(bar - 1).start_beat < 0:  # between there and here another meter holds
                anew = MeterMap(host.meter)
        return anew.bar(bar - 1), anew.beat_of(bar, beat)

    def count_from(self, bar: BarSpan) -> None:
        """Bars are counted from that one, whatever was thought of it."""
        self._map.restart(bar)

    def note_place(self, bar: int, beat: float, t_ns: int) -> None:
        """Such a place was told. It names a bar whatever its line may be, and the host that tells
        it would have told of another meter."""
        self._bbt = bar - 1, beat - 1
        if self._fresh_host_bar(t_ns) is not None:
            self._told_ns = t_ns

    @property
    def has_bbt(self) -> bool:
        """Whether our place was told in bars."""
        return self._bbt is not None

    def beat_in_host_bar(self, beat: float) -> float | None:
        """Where the place is that was told in bars, by the bar that the host has told since; None
        where that is no news to us, who are at `beat`, or is about another place."""
        bar = self._host_bar
        if bar is None or self._bbt is None:
            return None
        number, into = self._bbt
        bars = number - bar.number
        there = bar.start_beat + bars * bar.meter.beats + into * 4 / bar.meter.denominator
        is_news = not self._map.has_line_of(bar) or abs(there - beat) > _NEAR_BEATS
        return there if is_news and bars in (0, 1) else None
