"""What nobody asked for: the turns of `trade` and the answers of `auto`. Pure."""

from __future__ import annotations

from collections.abc import Callable

from rwkv_music.timebase import beats_to_steps

from .arming import Arming
from .completion import Completion
from .jumps import LineJump, turns_after
from .listener import Listener
from .modes import Auto, Mode, Trade, mode_named
from .parameters import Generation
from .performer import Performer
from .transport import BarSpan, Transport
from .wishes import Wishes


class Answers:
    """Arms them as the mode says. One that is withdrawn gives back what was set for it alone."""

    def __init__(
        self,
        transport: Transport,
        wishes: Wishes,
        arming: Arming,
        performer: Performer,
        listener: Listener,
        publish: Callable[..., None],
    ) -> None:
        self.mode: Mode = None
        self.can_play = False  # whether there is a model
        self._transport = transport
        self._wishes = wishes
        self._arming = arming
        self._performer = performer
        self._listener = listener
        self._publish = publish
        self._request = 0  # the last one

    @property
    def yields(self) -> bool:
        """Whether we are silent when the player goes on."""
        return isinstance(self.mode, Auto)

    @property
    def is_armed(self) -> bool:
        """Whether what is armed is ours, and nobody's wish."""
        armed = self._performer.armed
        return armed is not None and armed.request == self._request

    def set_mode(self, name: str, listen_bars: int, play_bars: int, first_bar: int) -> None:
        """manual, trade or auto; turns begin with `first_bar`."""
        self.withdraw()
        self.mode = mode_named(name, listen_bars, play_bars, first_bar)
        self._listener.has_news = False

    def at_line(self, span: BarSpan, now_ns: int) -> None:
        """A bar opens. In trade, say whose it is, and arm our turn in the last bar before it; but
        what waits because somebody asked for it, stays."""
        if not isinstance(self.mode, Trade):
            return
        turn = self.mode.turn(span.number)
        self._publish("/rwkv/turn", str(turn.who), turn.bars_left)
        if self.can_play and self.mode.plays_after(span.number):
            self.withdraw()
            if self._performer.armed is None:
                generation = self._wishes.take(bars=self.mode.play_bars)
                self._arm(generation, beats_to_steps(span.end_beat), now_ns)

    def to_silence(self, beat: float, now_ns: int) -> None:
        """In auto, arm an answer when the player has ended a phrase. For while nothing else is
        armed or plays."""
        if not (self.can_play and isinstance(self.mode, Auto)):
            return
        bar_beats = self._transport.bar_at(beat).meter.beats
        silent_beats = self._listener.silent_beats(beat)
        if self.mode.plays(self._listener.has_news, silent_beats, bar_beats):
            self._listener.has_news = False
            generation = self._wishes.take()
            self._arm(generation, self._performer.place(generation, now_ns), now_ns)

    def withdraw(self) -> None:
        """Let what is armed be as if it had not been, if it is ours."""
        if self.is_armed:
            self._wishes.give_back()
            self._performer.disarm()

    def disarm(self) -> None:
        """Withdraw what is armed if it is ours, and forget it if it was asked for."""
        self.withdraw()
        self._performer.disarm()

    def jumped(self, jump: LineJump | None, moved: Completion | None, number: int) -> None:
        """The transport has jumped into bar `number`. Turns begin anew, and one that waited for a
        line that is no more is not taken; `moved` has gone with its line."""
        if isinstance(self.mode, Trade) and self._performer.armed is not moved:
            self.withdraw()
        self.mode = turns_after(self.mode, jump, number)

    def _arm(self, generation: Generation, step: int, now_ns: int) -> None:
        self._request = self._arming.fresh(generation, step, now_ns).request
