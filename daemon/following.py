"""The transport as it goes on and jumps: from bar line to bar line, everybody with it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from .answers import Answers
from .assembled_bar import AssembledBar, Voice
from .assembler import Assembler
from .jumps import line_jump
from .listener import Listener
from .metronome import Metronome
from .own_clock import OwnClock
from .performer import Performer
from .shown_state import ShownState
from .telling import Telling
from .transport import BarSpan, Located, Started, Stopped, Transport

_COUNTED_BEATS = 0.25  # what comes so long before beat 0 is counted in


class Following:
    """Closes the bar that is over and opens the next; after a jump, has all bars counted anew.

    `beat` is where the music was at the last tick. A clock that we started ourselves is stopped
    again when nobody has played for a while.
    """

    def __init__(
        self,
        transport: Transport,
        assembler: Assembler,
        performer: Performer,
        listener: Listener,
        answers: Answers,
        telling: Telling,
        metronome: Metronome,
        shown: ShownState,
        publish: Callable[..., None],
    ) -> None:
        self.beat = 0.0
        self.own_clock = OwnClock()
        self._transport = transport
        self._assembler = assembler
        self._performer = performer
        self._listener = listener
        self._answers = answers
        self._telling = telling
        self._metronome = metronome
        self._shown = shown
        self._publish = publish
        self._span: BarSpan | None = None  # the bar that is open; none while it stands still

    @property
    def next_bar(self) -> int:
        """The number of the next bar to be opened that is not counted in."""
        return 0 if self._span is None else max(self._span.number + 1, 0)

    def launch(self, t_ns: int, count_in: int = 0) -> None:
        """Start the transport ourselves, so many bars before beat 0."""
        self._transport.launch(t_ns, count_in)
        self.take_changes(t_ns)
        self.own_clock.started()
        self._metronome.counts_in = count_in > 0

    def play(self, t_ns: int, count_in: int) -> bool:
        """Start the transport as somebody asks (see Transport.play)."""
        obeyed = self._transport.play(t_ns, count_in)
        if obeyed:
            self._metronome.counts_in = count_in > 0
        return obeyed

    def take_changes(self, now_ns: int) -> None:
        """Take in what has happened to the transport."""
        for change in self._transport.take_changes():
            self.own_clock.led()  # a change of ours says otherwise when it has been taken in
            match change:
                case Started(beat) | Located(beat):
                    self._renumber(beat, now_ns)
                case Stopped(beat):
                    self._answers.disarm()
                    self._renumber(beat, now_ns)
                    self._span = None
                    self._metronome.counts_in = False
        self._shown.tell()

    def tick(self, now_ns: int) -> None:
        """Be where the transport is, which plays."""
        self.beat = self._transport.beat_at(now_ns)
        self.close_bars(now_ns)

    def close_bars(self, now_ns: int) -> None:
        """A bar closes half a grid step before its line: what comes later is on the line."""
        while self._span is not None:
            self._span = self._transport.bar(self._span.number)  # its meter may be new
            beat = self._transport.beat_at(now_ns)
            if beat < self._span.end_beat - self._assembler.half_grid_beats:
                return
            span, self._span = self._span, self._transport.bar(self._span.number + 1)
            bar = self._close(span, beat)
            self._answers.at_line(self._span, now_ns)
            if bar is not None:
                self._rest(bar, now_ns)

    def _close(self, span: BarSpan, beat: float) -> AssembledBar | None:
        """Tell of a bar; None for one that was only counted: nobody has played yet, and that is no
        silence to be heard."""
        if span.number < 0 and not self._assembler.has_notes(span):
            return None
        self._assembler.refresh(beat)
        bar = self._assembler.close(span, self._transport.tempo_bpm)
        self._telling.changes()
        played = bar.count(Voice.PLAYER)
        self._publish("/rwkv/bar", bar.number, played)
        if played and self._shown.now == "listening":
            self._performer.offered = None  # the player has gone on from what was chosen
        return bar

    def _rest(self, bar: AssembledBar, now_ns: int) -> None:
        """Stop the clock that we started ourselves when nobody has played for a while."""
        sounds = bool(bar.notes) or bool(self._listener.held_pitches)
        busy = sounds or self._shown.now in ("armed", "playing")
        if self.own_clock.rests(busy=busy) and self._transport.source in ("internal", "link"):
            self._transport.stop(now_ns)
            self.take_changes(now_ns)

    def _renumber(self, beat: float, now_ns: int) -> None:
        """The numbers of bars begin anew at `beat`: what was heard stays, what plays ends."""
        jump = line_jump(self._span, self.beat, beat, self._transport)
        moved = self._performer.leave(self.beat, jump)
        self._assembler.renumber(self.beat, jump.moved if jump else None)
        self._telling.changes()
        # What is a little before beat 0 is a clock's jitter, or a start that is still to come.
        self.beat = beat if beat <= -_COUNTED_BEATS else max(beat, 0.0)
        self._span = jump.span if jump is not None else self._transport.bar_at(self.beat)
        self._telling.begin(self.beat)
        self._metronome.restart(self.beat)
        self._listener.renumber(self.beat)
        self._answers.jumped(jump, moved, max(self._span.number, 0))
        self._performer.aim_again(now_ns, moved)
        if self._transport.playing:
            self._answers.at_line(self._span, now_ns)
