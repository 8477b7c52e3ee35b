"""What the player sends, sent on where that is wished; what was let down comes up. Pure."""

from __future__ import annotations

from .echoes import ECHO_NS, Echoes
from .scheduler import CONTROL, PEDAL, Pass, Release, Strike, player_event
from .voices import Sounds

_PEDAL_DOWN = 64


class Thru:
    """Remembers the keys and pedals that it has sent on: their ends are sent on as well, whatever
    is wished by then."""

    def __init__(self, sounds: Sounds, echoes: Echoes) -> None:
        self._sounds = sounds
        self._echoes = echoes
        self._keys: set[tuple[int, int]] = set()  # channel, pitch
        self._pedals: dict[int, tuple[int, int]] = {}  # by channel, the value and when

    def holds(self, channel: int, pitch: int) -> bool:
        """Whether this key was sent on and is down."""
        return (channel, pitch) in self._keys

    def take(self, t_ns: int, message: bytes, *, wished: bool) -> None:
        """Send a message on if that is wished, or if it ends what was sent on before."""
        event = player_event(t_ns, message)
        match event:
            case Strike(_, _, channel, pitch) if wished:
                self._keys.add((channel, pitch))
            case Release(_, _, channel, pitch):
                wished = self.holds(channel, pitch)
                self._keys.discard((channel, pitch))
            case Pass():
                wished = self._passes(t_ns, message, wished)
        if wished:
            self._sounds.put(event)

    def _passes(self, t_ns: int, message: bytes, wished: bool) -> bool:
        if self._echoes.is_passed(t_ns, message):
            return False
        if message[0] & 0xF0 == CONTROL and message[1] == PEDAL:
            wished = self._takes_pedal(t_ns, message[0] & 0x0F, message[2], wished)
        if wished:
            self._echoes.passed(t_ns, message)
        return wished

    def _takes_pedal(self, t_ns: int, channel: int, value: int, wished: bool) -> bool:
        if channel in self._pedals:
            last, last_ns = self._pedals[channel]
            if value == last and t_ns - last_ns <= ECHO_NS:
                return False  # its own echo, which would go round for ever; nor does it say more
            wished = wished or (last > 0 and value < _PEDAL_DOWN)
        if wished:
            self._pedals[channel] = value, t_ns
        return wished
