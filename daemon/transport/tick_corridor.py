"""Which lines explain the latest ticks, and whether they are of another tempo by now. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .corridor import Corridors, Tick
from .timeline import Line

_EXPLAINED = 0.05  # the share of ticks that may be missed from the first
_POSSIBLE, _SURE = 6, 12  # ticks since the first missed one, which another tempo explains
_KEPT, _EARLIEST = 64, 16  # ticks; places of a change, before the first missed ones


@dataclass(frozen=True, slots=True)
class _Passed:
    """A tick, and the lines before it."""

    number: int
    t_ns: int
    before: Corridors


class TickCorridor:
    """The lines that explain the latest ticks. Once some ticks are missed by all, those of another
    tempo are looked for, and kept beside them until it shows which are right."""

    def __init__(self) -> None:
        self._now: Corridors | None = None
        self._changed: Corridors | None = None
        self._first_missed: int | None = None
        self._past: deque[_Passed] = deque(maxlen=_KEPT)

    def line(self, number: int) -> Line | None:
        """The middle one, told at that tick; None where no line explains the ticks."""
        return self._now.line(number) if self._now and self._now.hold else None

    def clear(self) -> None:
        self._now = self._changed = self._first_missed = None
        self._past.clear()

    def begin(self, line: Line, ticks: Sequence[Tick], range_ns: float) -> None:
        """Begin anew with the lines near that one, if any explain these ticks."""
        found = Corridors.around(line, ticks, range_ns)
        if found.doubt <= _EXPLAINED * len(ticks):
            self.clear()
            self._now = found

    def add(self, number: int, t_ns: int) -> None:
        if self._now is None:
            return
        self._past.append(_Passed(number, t_ns, self._now))
        before, self._now = self._now, self._now.after(number, t_ns)
        if not self._now.doubt:
            self._changed = self._first_missed = None
            return
        if not before.doubt:
            self._first_missed = number
        if self._changed is not None:
            self._changed = self._changed.after(number, t_ns)
            if not self._changed.hold:
                self._changed = None
        elif not self._now.hold and self._since_missed < _SURE:
            self._changed = self._look_for_change()
        if not self._now.hold and self._since_missed >= _SURE:
            self.change()
        if self._since_missed >= _KEPT:
            self.clear()

    def change(self) -> None:
        """It likely is another tempo: no pause, nor late ticks."""
        if self._changed is not None and self._since_missed >= _POSSIBLE:
            self._now, self._changed, self._first_missed = self._changed, None, None

    def drop_latest(self, count: int) -> None:
        """So many told their time wrong."""
        for _ in range(min(count, len(self._past))):
            self._now, self._changed = self._past.pop().before, None
        if self._now is not None and not self._now.doubt:
            self._first_missed = None

    @property
    def _since_missed(self) -> int:
        missed = self._first_missed
        return 0 if missed is None or not self._past else self._past[-1].number - missed

    def _look_for_change(self) -> Corridors | None:
        past = list(self._past)
        places = [(one.number, next_.before) for one, next_ in pairwise(past) if next_.before.hold]
        ticks = [(tick.number, tick.t_ns) for tick in past]
        return self._now and self._now.changed(places[-_EARLIEST:], ticks)
