"""A jump of the transport from bar line to bar line, as a DAW's loop makes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rwkv_music.music import STEPS_PER_BEAT
from rwkv_music.timebase import beats_to_steps

from .modes import Mode, Trade
from .transport import BarSpan, Transport

_NEAR_BEATS = 1 / STEPS_PER_BEAT
_LATE_BEATS = 0.25  # a host says this late that it has jumped


@dataclass(frozen=True, slots=True)
class LineJump:
    """The line of bar `number` is that of `span` now. `old_step` is where it was."""

    number: int
    old_step: int
    span: BarSpan

    @property
    def new_step(self) -> int:
        return beats_to_steps(self.span.start_beat)

    @property
    def moved(self) -> tuple[int, BarSpan]:
        """Where the line was, and the bar that it opens now."""
        return self.old_step, self.span

    @property
    def steps(self) -> int:
        """How far everything from that line on has moved."""
        return self.new_step - self.old_step


def line_jump(
    old: BarSpan | None, old_beat: float, beat: float, transport: Transport
) -> LineJump | None:
    """What a jump from `old_beat`, in the bar `old`, to `beat` is; None where it is none from line
    to line. It may be noticed a little after, when the old bar's end has been passed."""
    if old is None or not transport.playing:
        return None
    span = transport.bar_at(beat + _NEAR_BEATS)
    since = beat - span.start_beat
    if since >= _LATE_BEATS:
        return None
    for number, line in ((old.number, old.start_beat), (old.number + 1, old.end_beat)):
        if abs(old_beat - since - line) <= _NEAR_BEATS:
            return LineJump(number, beats_to_steps(line), span)
    return None


def turns_after(mode: Mode, jump: LineJump | None, number: int) -> Mode:
    """The mode, when bars are numbered anew from `number` on: turns begin anew with the player's,
    or with ours where it was to begin on the line that has moved."""
    if not isinstance(mode, Trade):
        return mode
    ours = jump is not None and mode.plays_after(jump.number - 1)
    return replace(mode, first=number - mode.listen_bars if ours else number)
