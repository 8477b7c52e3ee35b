"""From jittering tick times to a steady line through them.

Ticks are numbered by counting, which is what keeps MIDI clock exact over an hour; their times only
say where the numbers are. Where a driver puts ticks off to its next period, the line through them
is the middle of all that are near enough to every tick; else, and until that is known, it is a
least-squares fit over as long a window as one tempo explains. A tick that is far off is not
believed before its successors have shown what it was: late, doubled, the first after a dropped one
or after a pause, or the first of another tempo. Of ticks that come all at once, as they do when a
machine has stood still, only the last one's time says anything; all of them count.
"""

from __future__ import annotations

from .line_fit import TickWindow, misfit_ns2
from .tick_corridor import TickCorridor
from .tick_noise import TickNoise
from .tick_places import Placement, place
from .timeline import Line

_WINDOW = 48  # two beats
_CORRIDOR_TRIED = 12  # every so many ticks, as long as there is none
_STEADY = 12  # ticks that make a line good enough to doubt a tick for it
_SHORTEST_NS, _LONGEST_NS = 2.4e6, 1e9  # of a tick: what is beyond is no music
_UNLIKELY_TICKS = 0.3  # a tick after so much of one has waited somewhere, or it has to last
_BURST = 3  # ticks at once; fewer are a driver's long period
_LONGEST_BURST = 36
_NEVER_NS = 2**63
_FAR_NOISES, _FAR_TICKS, _FARTHEST_TICKS = 4.5, 0.15, 0.3
_RETURNED = 3  # doubted ticks in a row that agree on what happened
_GIVEN_UP = 12  # doubted ticks after which the old line is given up
_MOST_DROPPED = 3  # a longer gap is a clock that stood still ...
_GAP_NOISES = 2.0  # ... and so is one that is no whole number of ticks long, to this
_LIKELY_CHANGE = 0.25  # faster ticks than that may be a fault: they have to last
_NEW_TEMPO_REST = 4.0  # what a line through doubted ticks may leave, in noises squared each
_LIKELY_STEP = 0.1  # beyond it the old tempo says nothing of the new one
# How far off the tempo may be that a fit starts from, by where it is from.
_FROM_TICKS, _FROM_BEFORE, _FROM_NOWHERE = 0.003, 0.02, 0.3


class TickFilter:
    """The line through the ticks; `beat` in it counts ticks. Pure."""

    def __init__(self, ns_per_tick: float) -> None:
        self._believed = -1  # number of the latest believed tick
        self._believed_ns = 0
        self._waited = 0  # ticks in a row, before the latest, that came with their next one
        self._last_ns = 0
        self._line = Line(0, -1.0, ns_per_tick)
        self._window = TickWindow(_WINDOW)
        self._corridor = TickCorridor()
        self._noise = TickNoise()
        self._doubted: list[int] = []
        self._prior_ns, self._prior_doubt = ns_per_tick, _FROM_NOWHERE
        self._settled_ns = 0.0  # what a tick took when that was known last

    @property
    def line(self) -> Line:
        return self._line

    @property
    def index(self) -> int:
        """The number of the latest tick."""
        return self._believed + len(self._doubted)

    @property
    def ns_per_tick(self) -> float:
        return self._line.ns_per_beat

    @property
    def steady(self) -> bool:
        """Whether the line rests on enough ticks."""
        return len(self._window) >= _STEADY

    def restart(self) -> None:
        """Forget the times: the ticks had ceased. The tempo is likely still the same."""
        self._begin(_FROM_BEFORE)

    def tick_on_beat(self, t_ns: int) -> None:
        """A tick from which the music starts; it need not be where the ticks before it led."""
        led_to_ns = self._line.ns_at(self.index + 1)
        if self._doubted or not self._can_doubt or abs(t_ns - led_to_ns) > self._far_ns:
            self._begin(_FROM_TICKS if self.steady else _FROM_BEFORE)
        self.tick(t_ns)

    def tick(self, t_ns: int) -> None:
        t_ns = self._last_ns = max(t_ns, self._last_ns)
        if self._doubted:
            self._doubted.append(t_ns)
            self._resolve()
        elif self._can_doubt and abs(t_ns - self._line.ns_at(self._believed + 1)) > self._far_ns:
            self._doubted.append(t_ns)
        else:
            self._believe(self._believed + 1, t_ns)
            self._fit()

    @property
    def _can_doubt(self) -> bool:
        """Whether the jitter leaves it clear which tick is which."""
        return self.steady and self._noise.range_ns < self._line.ns_per_beat / 2

    @property
    def _far_ns(self) -> float:
        ns_per_tick = self._line.ns_per_beat
        far_ns = max(_FAR_NOISES * self._noise.ns, _FAR_TICKS * ns_per_tick)
        return min(far_ns, _FARTHEST_TICKS * ns_per_tick)

    def _begin(self, doubt: float) -> None:
        self._believed = self.index
        self._doubted.clear()
        self._window.clear()
        self._corridor.clear()
        self._noise.interrupt()
        if self._line.beat >= 0:
            self._prior_ns, self._prior_doubt = self._line.ns_per_beat, doubt

    def _believe(self, number: int, t_ns: int) -> None:
        if number != self._believed + 1:
            self._noise.interrupt()
            self._waited = 0
        elif self._is_at_once(t_ns):
            self._waited += 1
        else:
            self._waited = 0
        if self._waited >= _LONGEST_BURST:
            self._settled_ns = 0.0  # it lasts: this is no burst, but another tempo
            self._waited = 0
        elif self._waited >= _BURST - 1:
            # Those before were late, and came with this one.
            count = self._waited if self._waited < _BURST else 1
            self._window.drop_latest(count)
            self._corridor.drop_latest(count)
            self._noise.drop_latest(count)
        if not len(self._window):
            self._line = Line(t_ns, float(number), self._line.ns_per_beat)
        self._believed, self._believed_ns = number, t_ns
        self._window.add(number, t_ns)
        self._corridor.add(number, t_ns)
        self._noise.add(t_ns)

    def _is_at_once(self, t_ns: int) -> bool:
        """Whether no music is so fast that this tick follows the last."""
        shortest_ns = max(_SHORTEST_NS, _UNLIKELY_TICKS * self._settled_ns)
        return t_ns - self._believed_ns < shortest_ns

    def _fit(self) -> None:
        line = self._corridor.line(self._believed) or self._fit_window()
        ns_per_tick = min(max(line.ns_per_beat, _SHORTEST_NS), _LONGEST_NS)
        if self.steady:
            self._settled_ns = ns_per_tick
        else:
            ns_per_tick = max(ns_per_tick, (1 - _LIKELY_CHANGE) * self._settled_ns)
        self._line = Line(line.t_ns, line.beat, ns_per_tick)

    def _fit_window(self) -> Line:
        """By least squares, where no corridor holds."""
        noise = self._noise.ns, self._noise.range_ns
        change = self._window.change(self._line, *noise)
        change = change or self._window.change_before(self._line, *noise)
        if change is not None:
            self._window.divide(change.count)
            self._prior_ns = max(change.ns_per_tick, _SHORTEST_NS)
            self._prior_doubt = _FROM_TICKS if change.same_tempo else _FROM_BEFORE
            if not change.same_tempo:
                self._corridor.change()
                if found := self._corridor.line(self._believed):
                    return found
        if len(self._window) == _WINDOW:
            weight = 0.0
        else:
            weight = (self._noise.ns / (self._prior_doubt * self._prior_ns)) ** 2
        line = self._window.line(self._line, self._prior_ns, weight)
        if len(self._window) == _WINDOW and not self._believed % _CORRIDOR_TRIED:
            lateness_ns = self._noise.lateness_ns
            if lateness_ns is not None:
                self._corridor.begin(line, self._window.ticks, lateness_ns)
        return line

    def _resolve(self) -> None:
        """Find out what the doubted ticks were, if that can be told by now."""
        if len(self._doubted) < _RETURNED:
            return
        placed = place(self._line, self._believed + 1, self._doubted, self._far_ns, _RETURNED)
        if placed.agrees and placed.shift == 0:
            self._return_to_line(placed)  # some were late
        elif self._is_new_tempo():
            self._take_as_counted(1, _FROM_BEFORE)
        elif self._is_gap_or_double(placed):
            self._return_to_line(placed)
        elif self._stood_still():
            self._take_as_counted(0, _FROM_TICKS)
        elif len(self._on_time()) >= _GIVEN_UP:
            self._take_as_counted(0, _FROM_BEFORE)

    def _on_time(self) -> list[tuple[int, int]]:
        """Doubted ticks, numbered by count, but for those that waited for the next one."""
        ticks = list(enumerate(self._doubted, start=self._believed + 1))
        return [
            tick
            for tick, (_, next_ns) in zip(ticks, [*ticks[1:], (0, _NEVER_NS)], strict=True)
            if next_ns - tick[1] >= _SHORTEST_NS
        ]

    def _return_to_line(self, placed: Placement) -> None:
        """The old tempo holds, and those that are on its line are believed."""
        self._doubted = []
        for number, t_ns in sorted(placed.times.items()):
            self._believe(number, t_ns)
        self._fit()

    def _is_gap_or_double(self, placed: Placement) -> bool:
        """Whether ticks were dropped, or came twice, and the old line goes on."""
        if not placed.agrees or placed.shift > _MOST_DROPPED:
            return False
        if placed.shift > 0 and abs(placed.late_ns) > _GAP_NOISES * self._noise.ns:
            return False  # a gap of any odd length: the clock stood still
        first = self._believed + 1 + max(placed.shift, 0)
        return all(number in placed.times for number in range(first, placed.last + 1))

    def _stood_still(self) -> bool:
        """Whether the clock paused, and goes on from there at the old tempo: what an audio system
        that lost its breath does. Its position stood still as well, so the count is right."""
        paused_ns = self._doubted[0] - self._believed_ns - self._line.ns_per_beat
        if len(self._doubted) <= _RETURNED or paused_ns < 0:
            return False
        offsets = [t - k * self._line.ns_per_beat for k, t in enumerate(self._doubted)]
        mean = sum(offsets) / len(offsets)
        rest = sum((offset - mean) ** 2 for offset in offsets)
        return rest <= _NEW_TEMPO_REST * len(offsets) * self._noise.ns**2

    def _is_new_tempo(self) -> bool:
        """Whether one line explains the last believed tick and all doubted ones as counted."""
        mean_ns = (self._doubted[-1] - self._believed_ns) / len(self._doubted)
        if mean_ns < (1 - _LIKELY_CHANGE) * self._line.ns_per_beat:
            return False
        times = [self._believed_ns, *self._doubted]
        points = [(k, float(t_ns - self._believed_ns)) for k, t_ns in enumerate(times)]
        freedom = len(points) - 2
        return misfit_ns2(points) <= _NEW_TEMPO_REST * freedom * self._noise.ns**2

    def _take_as_counted(self, kept: int, prior_doubt: float) -> None:
        """Believe them all, on a new line that keeps so many of the earlier ticks."""
        on_time = self._on_time()
        times, self._doubted = self._doubted, []
        self._window.keep(kept)
        self._prior_ns, self._prior_doubt = self._line.ns_per_beat, prior_doubt
        if len(on_time) > 1:
            (first, first_ns), *_, (last, last_ns) = on_time
            mean_ns = (last_ns - first_ns) / (last - first)
            if abs(mean_ns / self._prior_ns - 1) > _LIKELY_STEP:
                self._prior_ns, self._prior_doubt = mean_ns, _FROM_NOWHERE
        self._noise.interrupt()
        for t_ns in times:
            self._believe(self._believed + 1, t_ns)
        if kept:
            self._corridor.change()
        self._fit()
