"""What hosts and hands may do to a transport, in any order, and how time passes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from rwkv_music_daemon.transport import SOURCES, BarSpan, Transport, take_midi

from rwkv_music.music import METERS, Meter
from rwkv_music.timebase import NS_PER_MS

_COMMON = Meter()
TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
Wait = Callable[[int], int]  # lets so many nanoseconds pass; the time then
Tell = Callable[[Callable[[int], object]], None]  # lets something be told now


@dataclass(frozen=True)
class Deed:
    """Something that is told, once or again and again."""

    name: str
    value: float = 0.0
    number: int = 0
    meter: Meter = _COMMON

    def do(self, transport: Transport, wait: Wait, tell: Tell) -> None:
        if self.name == "ticks":
            for _ in range(self.number):
                tell(lambda t_ns: take_midi(transport, t_ns, TICK))
                wait(round(60e9 / 24 / self.value))
        elif self.name == "positions":
            self._positions(transport, wait, tell, in_bars=False)
        elif self.name == "bars":
            self._positions(transport, wait, tell, in_bars=True)
        else:
            tell(lambda t_ns: self._once(transport, t_ns))

    def _positions(self, transport: Transport, wait: Wait, tell: Tell, *, in_bars: bool) -> None:
        """A host that plays from `value` on at 100 a minute, and says so 25 times a second."""
        for k in range(self.number):
            beat = self.value + k / 15
            bar, rest = divmod(beat, self.meter.beats)
            if in_bars:
                place = int(bar) + 1, rest * self.meter.denominator / 4 + 1
                tell(lambda t_ns, place=place: transport.osc_bbt(*place, t_ns))
            else:
                tell(lambda t_ns, beat=beat: transport.osc_position(beat, t_ns))
            wait(40 * NS_PER_MS)

    def _once(self, transport: Transport, t_ns: int) -> object:
        match self.name:
            case "start":
                return take_midi(transport, t_ns, START)
            case "continue":
                return take_midi(transport, t_ns, CONTINUE)
            case "stop":
                return take_midi(transport, t_ns, STOP)
            case "song position":
                sixteenths = int(self.value * 4)
                return take_midi(transport, t_ns, bytes((0xF2, sixteenths & 127, sixteenths >> 7)))
            case "seconds":
                return transport.osc_seconds(self.value, t_ns)
            case "play over osc":
                return transport.play(t_ns)
            case "stop over osc":
                return transport.stop(t_ns)
            case "continue over osc":
                return transport.continue_(t_ns)
            case "tempo":
                return transport.osc_tempo(self.value, t_ns)
            case "meter":
                return transport.set_meter(self.meter, t_ns)
            case "host's bar":
                return transport.osc_bar(BarSpan(self.number, self.value, self.meter), t_ns)
            case "source":
                return transport.select(SOURCES[self.number % len(SOURCES)], t_ns)
        raise AssertionError(self.name)


_HANDS = ("start", "continue", "stop", "play over osc", "stop over osc", "continue over osc")
_BEATS = st.one_of(st.integers(0, 64).map(float), st.floats(0, 400))
_LINES = st.integers(0, 128).map(lambda halves: halves / 2)
_METERS = st.sampled_from(METERS)
DEEDS = st.one_of(
    st.builds(Deed, st.just("ticks"), st.floats(40, 240), st.integers(1, 60)),
    st.builds(Deed, st.sampled_from(("positions", "bars")), _BEATS, st.integers(1, 20), _METERS),
    st.builds(Deed, st.sampled_from(_HANDS)),
    st.builds(Deed, st.sampled_from(("song position", "seconds")), _BEATS),
    st.builds(Deed, st.just("tempo"), st.floats(5, 2000)),
    st.builds(Deed, st.just("meter"), meter=_METERS),
    st.builds(Deed, st.just("host's bar"), _LINES, st.integers(0, 99), _METERS),
    st.builds(Deed, st.just("source"), number=st.integers(0, 9)),
)
WAITS_MS = st.sampled_from((0, 1, 7, 20, 45, 130, 400, 700, 2500))
