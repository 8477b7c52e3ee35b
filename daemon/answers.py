"""What nobody asked for: the turns of `trade` and the answers of `auto`. Pure."""

from __future__ import annotations

from collections.abc import Callable

from rwkv_music.timebase import beats_to_steps

from .arming import Arming
from .completion import Completion
from .jumps import LineJump, turns_after
from .listener import Listener
from .modes import Auto, Mode, Trade, mode_named
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

    def at_line(self, span: BarSpan, *, can_play: bool) -> Completion | None:
        """A bar opens. In trade, say whose it is, and arm our turn in the last bar before it."""
        if not isinstance(self.mode, Trade):
            return None
        turn = self.mode.turn(span.number)
        self._publish("/rwkv/turn", str(turn.who), turn.bars_left)
        if not (can_play and self.mode.plays_after(span.number)):
            return None
        self.withdraw()
        generation = self._wishes.take(bars=self.mode.play_bars)
        return self._remember(self._arming.fresh(generation, beats_to_steps(span.end_beat)))

    def to_silence(self, beat: float, now_ns: int) -> Completion | None:
        """In auto, arm an answer when the player has ended a phrase."""
        if not isinstance(self.mode, Auto):
            return None
        bar_beats = self._transport.bar_at(beat).meter.beats
        silent_beats = self._listener.silent_beats(beat)
        if not self.mode.plays(self._listener.has_news, silent_beats, bar_beats):
            return None
        self._listener.has_news = False
        generation = self._wishes.take()
        step = self._performer.place(generation, now_ns)
        return self._remember(self._arming.fresh(generation, step))

    def withdraw(self) -> None:
        """Let what is armed be as if it had not been, if it is ours."""
        if self.is_armed:
            self._wishes.give_back()
            self._performer.disarm()

    def jumped(self, jump: LineJump | None, moved: Completion | None, number: int) -> None:
        """The transport has jumped into bar `number`. Turns begin anew, and one that waited for a
        line that is no more is not taken; `moved` has gone with its line."""
        if isinstance(self.mode, Trade) and self._performer.armed is not moved:
            self.withdraw()
        self.mode = turns_after(self.mode, jump, number)

    def _remember(self, completion: Completion) -> Completion:
        self._request = completion.request
        return completion
