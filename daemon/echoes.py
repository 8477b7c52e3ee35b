"""What comes back of our output, when a DAW track monitors both ports: told from the player. Pure.

Notes only, and the pedal (see `thru`): other controllers may well say the same thing twice.
"""

from __future__ import annotations

from rwkv_music.timebase import NS_PER_MS

from .scheduler import CLICK, PLAYER, Strike

DRUM_CHANNEL = 9
ECHO_NS = 50 * NS_PER_MS


class Echoes:
    """Remembers when each pitch was last struck on our output.

    A loop brings every note back, and one that is taken for the player's would cut our answer or
    go round for ever, so within 50 ms the pitch alone decides, although a player who strikes it
    in unison with us is lost: that note is already heard and sounds, as ours. But a player who
    holds the key has the pitch in hand; there only our own velocity is an echo.
    """

    def __init__(self) -> None:
        # Ours may come back on another channel, but our bass is not the player's snare drum.
        self._ours: dict[tuple[bool, int], tuple[int, int]] = {}  # drums?, pitch -> when, velocity
        self._others: dict[tuple[int, int], tuple[int, int]] = {}  # channel, pitch -> the same

    def sent(self, strike: Strike, sent_ns: int) -> None:
        """A note-on has gone out."""
        last = sent_ns, strike.velocity
        if strike.owner in (PLAYER, CLICK):
            self._others[strike.channel, strike.pitch] = last
        else:
            self._ours[strike.channel == DRUM_CHANNEL, strike.pitch] = last

    def is_ours(self, t_ns: int, channel: int, pitch: int, velocity: int, *, held: bool) -> bool:
        """Whether a note-on that comes in is a note of a completion; `held`: its key is down."""
        last = self._ours.get((channel == DRUM_CHANNEL, pitch))
        return _is_recent(last, t_ns) and (not held or _has_velocity(last, velocity))

    def is_thru(self, t_ns: int, channel: int, pitch: int, velocity: int, *, held: bool) -> bool:
        """Whether a note-on that comes in is a click, or what the player sent and we sent on.

        A key that is down cannot be struck again so soon, whatever the velocity; one that has
        gone up can, and so can a drum, with another velocity. The channel has to be the same:
        a keyboard in two layers sends each note on two.
        """
        last = self._others.get((channel, pitch))
        certain = held and channel != DRUM_CHANNEL
        return _is_recent(last, t_ns) and (certain or _has_velocity(last, velocity))


def _is_recent(last: tuple[int, int] | None, t_ns: int) -> bool:
    return last is not None and 0 <= t_ns - last[0] <= ECHO_NS


def _has_velocity(last: tuple[int, int] | None, velocity: int) -> bool:
    return last is not None and last[1] == velocity
