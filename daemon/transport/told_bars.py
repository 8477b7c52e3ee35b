"""Bars as a host tells them over OSC: the one that it is in, and places in bars. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .meters import BarSpan
from .place import Place
from .sources import Sources


class ToldBars:
    """Lets the transport follow what it is told of bars.

    `go_to` tells it a position in beats, as hosts do; `jump_to` makes it follow one at once that it
    would not believe.
    """

    def __init__(
        self,
        place: Place,
        sources: Sources,
        go_to: Callable[[float, int], None],
        jump_to: Callable[[float, int], None],
    ) -> None:
        self._place = place
        self._bars = place.bars
        self._sources = sources
        self._go_to = go_to
        self._jump_to = jump_to

    def take_bar(self, bar: BarSpan, t_ns: int) -> None:
        """The bar that the host is in, or that the position which it tells next is in."""
        self._bars.keep_host_bar(bar, t_ns)
        if not self._place.is_in_song:
            return
        by_number = self._bars.has_bbt and self._is_osc_place()
        beat = self._bars.beat_in_host_bar(self._place.beat_at(t_ns)) if by_number else None
        if beat is None:
            self._place.take_host_bar(t_ns, by_number=by_number)
        else:
            self._count_anew(bar, beat, t_ns)

    def take_place(self, bar: int, beat: float, t_ns: int) -> None:
        """The position in bars and the meter's own beats, both counted from 1."""
        beats = self._bars.beat_of(bar, beat)
        if self._is_elsewhere(beats, t_ns):
            self._count_anew(*self._bars.place_anew(bar, beat, t_ns), t_ns)
        else:
            self._go_to(beats, t_ns)
        self._bars.note_place(bar, beat, t_ns)

    def _count_anew(self, bar: BarSpan, beat: float, t_ns: int) -> None:
        """Bars are counted from that one on: `beat` is our place in the new numbers, even if it is
        the old one."""
        if self._place.playing:
            self._jump_to(beat, t_ns)
        self._go_to(beat, t_ns)
        self._bars.count_from(bar)

    def _is_osc_place(self) -> bool:
        """Whether we are where the host says over OSC that it is."""
        leads = not self._place.playing or self._sources.charge is self._sources.osc
        return leads and self._sources.allows(self._sources.osc)

    def _is_elsewhere(self, beats: float, t_ns: int) -> bool:
        """Whether a position told over OSC is a jump of ours, and no small one."""
        osc = self._sources.osc
        if not self._sources.allows(osc) or not self._place.is_off(beats, t_ns):
            return False
        leads = self._sources.leader(t_ns) is osc
        return not self._place.playing or (leads and osc.is_jump(beats, t_ns))
